"""What a device may fetch: its own running run's files, by an address that is soon over."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from devices.agent import kinds, protocol
from devices.ledger_port import RunFetch, RunSource, RunStop
from devices.models import Device
from scheduling import executions, ledger, rollout, schedules
from scheduling.catalogue import handing, lookup, store
from scheduling.catalogue import software as catalogue
from scheduling.catalogue.downloads import FileDownloads
from scheduling.models import DeviceRun, Execution, Software, StoredFile
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import KEY, Store, under_way

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer")]


@pytest.fixture
def file(stored: Store) -> StoredFile:
    return stored(b"0123456789")


def asked(run: DeviceRun, sha256: str, device: Device | None = None) -> RunSource | RunStop:
    owner = run.device_id if device is None else device.pk
    assert owner is not None
    (answer,) = ledger.fetch([RunFetch(owner, run.pk, sha256)])
    return answer


def address(run: DeviceRun, file: StoredFile) -> str:
    answer = asked(run, file.blob.sha256)
    assert isinstance(answer, RunSource)
    return answer.url


def test_the_order_names_what_was_uploaded(run: DeviceRun, file: StoredFile) -> None:
    order = run.execution.payload
    assert order is not None
    assert file.blob.sha256.encode() in bytes(order)
    assert str(file.pk).encode() not in bytes(order)
    assert run.execution.blobs.get().blob == file.blob


def test_a_device_fetches_for_its_own_running_run_alone(
    run: DeviceRun, file: StoredFile, device: Device
) -> None:
    assert isinstance(asked(run, file.blob.sha256), RunSource)
    assert isinstance(asked(run, "0" * 64), RunStop)
    assert isinstance(asked(run, file.blob.sha256, factories.device()), RunStop)
    run.pk, known = uuid4(), run.pk
    assert isinstance(asked(run, file.blob.sha256), RunStop)
    DeviceRun.objects.filter(pk=known).move("succeeded", finished_at=run.execution.created_at)
    run.pk = known
    assert isinstance(asked(run, file.blob.sha256), RunStop)


def test_software_by_address_is_what_it_was_when_the_execution_opened(
    admin: User, operator: User, device: Device
) -> None:
    entry = factories.software(admin, sources=[at("https://example.com/tool-1.sh", "1" * 64)])
    run = under_way(deployment_of(entry, operator, device))
    catalogue.update(
        entry, admin, {"sources": [at("https://example.com/2.sh", "2" * 64)]}, partial=True
    )
    answer = asked(run, "1" * 64)
    assert isinstance(answer, RunSource)
    assert answer.url == "https://example.com/tool-1.sh"
    assert isinstance(asked(run, "2" * 64), RunStop)
    ledger.results([factories.result_of(run, "failed")])
    rollout.advance(run.execution_id)
    again = under_way(executions.retry(Execution.objects.get(), operator))
    answer = asked(again, "1" * 64)
    assert isinstance(answer, RunSource)
    assert answer.url == "https://example.com/tool-1.sh"


def test_a_retry_fetches_from_where_the_catalogue_says_the_same_bytes_are(
    admin: User, operator: User, device: Device
) -> None:
    entry = factories.software(admin, sources=[at("https://example.com/wrong.sh", "1" * 64)])
    run = under_way(deployment_of(entry, operator, device))
    ledger.results([factories.result_of(run, "failed")])
    rollout.advance(run.execution_id)
    right = at("https://example.com/right.sh", "1" * 64)
    catalogue.update(entry, admin, {"sources": [right]}, partial=True)
    answer = asked(under_way(executions.retry(Execution.objects.get(), operator)), "1" * 64)
    assert isinstance(answer, RunSource)
    assert answer.url == "https://example.com/right.sh"


@pytest.mark.parametrize(
    ("address", "name"),
    [("tool-1.sh?x=/y", "tool-1.sh"), ("a/..", "sh"), (".", "sh"), ("", "sh"), ("a/", "sh")],
)
def test_a_file_at_an_address_has_a_name_that_devices_take(
    admin: User, address: str, name: str
) -> None:
    entry = factories.software(admin, sources=[at(f"https://example.com/{address}", "1" * 64)])
    payload = {"software_ids": [str(entry.pk)], "action": "install"}
    order = lookup.order_of("software_deployment", payload)
    assert order["software"][0]["sources"][0]["file"]["name"] == name
    assert kinds.get("software_deployment").accept(order)


def at(url: str, digest: str) -> dict[str, str]:
    return {"os": "linux", "format": "sh", "url": url, "sha256": digest}


def deployment_of(entry: Software, user: User, device: Device) -> Execution:
    task = factories.by_hand(
        user,
        devices=[device],
        task_type="software_deployment",
        task_payload={"software_ids": [str(entry.pk)], "action": "install"},
    )
    return schedules.execute(task, user)


Answer = tuple[int, dict[str, str], bytes]
Get = Callable[..., Answer]


@pytest.fixture
def get(transactional_db: None) -> Get:
    """GET through the ASGI application, signed by KEY unless another is given."""

    def call(path: str, *, key: bytes = KEY, method: str = "GET", **headers: str) -> Answer:
        signature = protocol.sign(key, protocol.fetch_bytes(path))
        return asyncio.run(_get(path, method, {"x-deployx-signature": _text(signature), **headers}))

    return call


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


async def _get(path: str, method: str, headers: dict[str, str]) -> Answer:
    sent: list[MutableMapping[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("not for Django")

    await FileDownloads(inner)(scope, receive, send)
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], found, b"".join(one.get("body", b"") for one in rest)


def test_it_gets_the_bytes_and_any_part_of_them(run: DeviceRun, file: StoredFile, get: Get) -> None:
    path = address(run, file)
    status, headers, body = get(path)
    assert (status, headers["content-length"], body) == (200, "10", b"0123456789")
    for asked_for, part in (("bytes=4-", b"456789"), ("bytes=2-5", b"2345"), ("bytes=9-99", b"9")):
        status, headers, body = get(path, range=asked_for)
        assert (status, body) == (206, part)
        assert headers["content-range"].endswith("/10")
    assert get(path, range="bytes=10-")[0] == 416
    assert get(path, range="lines=1-2")[2] == b"0123456789"
    assert get(path, method="HEAD")[2] == b""
    assert get(path, method="POST")[0] == 405


def test_nobody_else_gets_them(
    run: DeviceRun, file: StoredFile, device: Device, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = address(run, file)
    assert "another device" in refused(get(path, key=protocol.new_private_key()))
    assert "not an address" in refused(get(path[:-3] + "abc"))
    assert "not an address" in refused(get(handing.PATH + "../../../etc/passwd"))
    monkeypatch.setattr(handing, "LIFE", timedelta(seconds=-1))
    assert "expired" in refused(get(path))
    monkeypatch.undo()
    DeviceRun.objects.filter(pk=run.pk).move("succeeded", finished_at=run.execution.created_at)
    assert "the run is over" in refused(get(path))
    Device.objects.filter(pk=device.pk).update(revoked_at=run.execution.created_at)
    assert "revoked" in refused(get(path))


def refused(answer: Answer) -> str:
    assert answer[0] == 403, answer
    return answer[2].decode()


def test_behind_nginx_it_sends_them(
    run: DeviceRun, file: StoredFile, get: Get, settings: Any
) -> None:
    settings.DEPLOYX_ACCEL_LOCATION = "/stored/"
    settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND = 1_000_000
    settings.DEPLOYX_ROLLOUT_BYTES_PER_SECOND = 500_000
    status, headers, body = get(address(run, file))
    sha256 = file.blob.sha256
    assert (status, body) == (200, b"")
    assert headers["x-accel-redirect"] == f"/stored/blobs/{sha256[:2]}/{sha256}"
    assert headers["x-accel-limit-rate"] == "500000"


def test_the_share_is_the_one_that_is_due_when_the_device_asks(
    run: DeviceRun, file: StoredFile, device: Device, operator: User, get: Get, settings: Any
) -> None:
    settings.DEPLOYX_ACCEL_LOCATION = "/stored/"
    settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND = 900_000
    path = address(run, file)
    assert get(path)[1]["x-accel-limit-rate"] == "900000"
    under_way(deployment_of_file(file, operator, device))
    assert get(path)[1]["x-accel-limit-rate"] == "450000"


def test_transfers_on_one_device_share_what_it_may_take(
    run: DeviceRun, file: StoredFile, device: Device, operator: User, settings: Any
) -> None:
    assert handing._rate(run) == 0
    settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND = 900_000
    assert handing._rate(run) == 900_000
    under_way(schedules.execute(factories.by_hand(operator, devices=[device]), operator))
    assert handing._rate(run) == 900_000, "a command fetches nothing"
    under_way(deployment_of_file(file, operator, device))
    assert handing._rate(run) == 450_000
    settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND = 100_000
    assert handing._rate(run) == handing.LEAST_RATE
    settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND = 10_000
    assert handing._rate(run) == 10_000


def test_devices_of_a_rollout_share_what_it_may_take_from_the_first_on(
    file: StoredFile, device: Device, operator: User, settings: Any
) -> None:
    settings.DEPLOYX_ROLLOUT_BYTES_PER_SECOND = 900_000
    others = [factories.device() for _number in range(3)]
    factories.group(devices=others, people=[operator])
    away = factories.go_offline(others.pop())
    execution = deployment_of_file(file, operator, device, *others, away)
    assert handing._rate(under_way(execution)) == 300_000
    two_at_once = {"max_concurrent": 2}
    execution = deployment_of_file(file, operator, device, *others, rollout=two_at_once)
    assert handing._rate(under_way(execution)) == 450_000


def deployment_of_file(file: StoredFile, user: User, *devices: Device, **options: Any) -> Execution:
    payload = {"file_ids": [str(file.pk)], "target_path": "/srv/"}
    task = factories.by_hand(
        user, devices=devices, task_type="file_deployment", task_payload=payload, **options
    )
    return schedules.execute(task, user)


def test_bytes_that_went_missing_are_said_to_be(
    run: DeviceRun, file: StoredFile, get: Get, files_dir: Path
) -> None:
    path = store.local_path(file.blob.sha256)
    assert path is not None
    path.unlink()
    assert get(address(run, file))[0] == 404


def test_an_execution_whose_file_is_gone_fails_and_says_so(
    file: StoredFile, device: Device, operator: User
) -> None:
    task = factories.by_hand(
        operator,
        devices=[device],
        task_type="file_deployment",
        task_payload={"file_ids": [str(file.pk)], "target_path": "/srv/"},
    )
    StoredFile.objects.all().delete()
    execution = schedules.execute(task, operator)
    assert execution.status == Execution.Status.FAILED
    assert str(file.pk) in execution.error_message
    assert not execution.runs.exists()
