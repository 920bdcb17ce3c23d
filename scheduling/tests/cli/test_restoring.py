"""`manage.py schedule restore`: what a deployment of files replaced is put back."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from devices import fleet
from devices.models import Device
from scheduling import restoring, rollout, schedules
from scheduling.models import DeviceRun, Execution, StoredFile
from scheduling.tests import factories
from scheduling.tests.api.conftest import address, client_of
from scheduling.tests.catalogue.conftest import Store
from scheduling.tests.cli.conftest import Schedule

pytestmark = pytest.mark.usefixtures("signer")


@pytest.fixture
def file(stored: Store) -> StoredFile:
    return stored(b"new")


@pytest.fixture
def replaced(operator: User, web_device: Device, web_group: object, file: StoredFile) -> Execution:
    """On two devices, of which both keep what was there."""
    second = factories.device("web-2")
    factories.group(devices=[second], people=[operator])
    task = factories.by_hand(
        operator,
        devices=[web_device, second],
        task_type="file_deployment",
        task_payload={"file_ids": [str(file.pk)], "target_path": "/srv/"},
    )
    execution = schedules.execute(task, operator)
    rollout.advance(execution.pk)
    carry_out(execution)
    DeviceRun.objects.update(detail={"kept": ["/srv/motd"]})
    return execution


def carry_out(execution: Execution) -> None:
    for run in execution.runs.filter(status="queued"):
        factories.carry_out(run)
    rollout.advance(execution.pk)


def restores() -> list[Execution]:
    return list(Execution.objects.filter(trigger="restore"))


def test_what_was_there_is_put_back_wherever_it_is_kept(
    schedule: Schedule, replaced: Execution
) -> None:
    made = schedule("restore", replaced.pk, "--yes", "--json").json
    (execution,) = restores()
    assert (made["id"], made["trigger"]) == (str(execution.pk), "restore")
    assert {run.device_name for run in execution.runs.all()} == {"web-1", "web-2"}
    order = json.loads(bytes(execution.payload or b""))
    assert order == {"restore": {"execution": str(replaced.pk), "target_path": "/srv/"}}


def test_or_on_one_device(schedule: Schedule, replaced: Execution) -> None:
    said = schedule("restore", replaced.pk, "--device", "web-2", "--yes")
    assert said.code == 0
    (execution,) = restores()
    assert str(execution.pk) in said.out
    assert execution.runs.get().device_name == "web-2"


def test_it_asks_before(
    schedule: Schedule, replaced: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtins, "input", lambda *arguments: "n")
    said = schedule("restore", replaced.pk)
    assert said.code == 1
    assert "On 2 devices the files are made again what they were before" in said.err
    assert "On 1 device the files" in schedule("restore", replaced.pk, "--device", "web-1").err
    assert restores() == []
    monkeypatch.setattr(builtins, "input", lambda *arguments: "y")
    assert schedule("restore", replaced.pk).code == 0
    assert len(restores()) == 1


def test_where_nothing_is_kept_it_says_so(schedule: Schedule, replaced: Execution) -> None:
    DeviceRun.objects.filter(device_name="web-1").update(detail={})
    said = schedule("restore", replaced.pk, "--device", "web-1")
    assert (said.code, said.err) == (1, "No device keeps anything of it.\n")
    assert schedule("restore", replaced.pk, "--device", "web-9").code == 2


def test_a_revoked_device_gets_nothing_back(
    schedule: Schedule, replaced: Execution, admin: User, operator: User
) -> None:
    first, second = Device.objects.order_by("name")
    fleet.revoke(first, admin)
    assert restoring.kept_on(replaced) == [second.pk]
    run = replaced.runs.get(device=first)
    assert client_of(operator).post(address(run, "restore")).status_code == 409
    assert schedule("restore", replaced.pk, "--yes").code == 0
    (execution,) = restores()
    assert execution.runs.get().device_id == second.pk
    fleet.revoke(second, admin)
    assert client_of(operator).post(address(replaced, "restore")).status_code == 409
    assert not restoring.keeps(replaced)
    assert len(restores()) == 1


@pytest.mark.parametrize("words", ["motd", "01a2", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_execution_is_said_to_be_none(schedule: Schedule, words: str) -> None:
    said = schedule("restore", words, "--yes")
    assert (said.code, said.err) == (2, f"execution: There is no execution “{words}”.\n")


def test_nobody_puts_back_what_they_do_not_see(
    schedule: Schedule, replaced: Execution, outsider: User
) -> None:
    said = schedule("restore", replaced.pk, "--yes", "--user", outsider.get_username())
    assert said.code == 2
    assert restores() == []


def test_waiting_ends_with_the_result(
    schedule: Schedule, replaced: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(look_took_seconds: float) -> None:
        (execution,) = restores()
        rollout.advance(execution.pk)
        factories.carry_out(execution.runs.get(), "failed")
        rollout.advance(execution.pk)

    monkeypatch.setattr("scheduling.cli.following.pause", fail)
    arguments: Any = ("--device", "web-1", "--yes", "--wait")
    assert schedule("restore", replaced.pk, *arguments).code == 1
