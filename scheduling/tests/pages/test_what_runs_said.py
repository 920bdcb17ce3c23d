"""What runs of files and software did, on the pages of the execution and of the device."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from devices import keys
from devices.models import Device, DeviceGroup, InstalledSoftware
from scheduling import details
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store

pytestmark = pytest.mark.django_db


@pytest.fixture
def deployed(
    operator: User, web_group: DeviceGroup, web_device: Device, stored: Store
) -> DeviceRun:
    """A file deployment that replaced something, and has ended."""
    keys.ensure_key()
    payload = {"file_ids": [str(stored().pk)], "target_path": "/etc/motd"}
    task = factories.task(
        operator, groups=[web_group], task_type="file_deployment", task_payload=payload
    )
    execution = factories.execution(task)
    run = factories.run(execution, web_device, status="succeeded")
    steps = [{"path": "/etc/motd", "state": "replaced"}]
    said = {
        "summary": "1 of 1 files placed",
        "changed": True,
        "steps": steps,
        "kept": ["/etc/motd"],
    }
    DeviceRun.objects.filter(pk=run.pk).update(detail=said)
    result = {"devices_targeted": 1, "devices_succeeded": 1, "counts": {"succeeded": 1}}
    Execution.objects.filter(pk=execution.pk).move(
        "success", completed_at=timezone.now(), result=result
    )
    run.refresh_from_db()
    return run


def tell(run: DeviceRun, **detail: Any) -> None:
    DeviceRun.objects.filter(pk=run.pk).update(detail=detail)


def test_the_page_of_an_execution_says_what_each_step_did(
    as_operator: Client, deployed: DeviceRun
) -> None:
    page = as_operator.get(deployed.execution.get_absolute_url()).content.decode()
    for words in ("1 of 1 files placed", "/etc/motd", "Replaced"):
        assert words in page


def test_what_changed_nothing_says_so(as_operator: Client, deployed: DeviceRun) -> None:
    steps = [{"path": "/etc/motd", "state": "already in place"}]
    tell(deployed, summary="already in place", changed=False, steps=steps)
    page = as_operator.get(deployed.execution.get_absolute_url()).content.decode()
    assert "Already in place" in page
    assert "Nothing was changed." in page


def test_a_device_that_wants_a_restart_says_so_on_its_pages(
    as_operator: Client, deployed: DeviceRun, web_device: Device
) -> None:
    pages = (
        deployed.execution.get_absolute_url(),
        web_device.get_absolute_url(),
        f"/devices/{web_device.pk}/software",
    )
    for address in pages:
        assert "estart" not in as_operator.get(address).content.decode()
    tell(deployed, summary="x", reboot_required=True)
    Device.objects.filter(pk=web_device.pk).update(restart_wanted_at=timezone.now())
    for address in pages:
        assert "estart" in as_operator.get(address).content.decode()


def test_a_device_shows_what_is_installed_and_all_of_it_on_a_page_of_its_own(
    as_operator: Client, admin: User, web_group: DeviceGroup, web_device: Device
) -> None:
    entry = factories.software(admin, name="tool-03")
    for number in range(12):
        name = f"tool-{number:02}"
        InstalledSoftware.objects.create(
            device=web_device, name=name, version="1.2", seen_at=timezone.now(),
            catalogue_id=entry.pk if number == 3 else None,
        )  # fmt: skip
    page = as_operator.get(web_device.get_absolute_url()).content.decode()
    assert entry.get_absolute_url() in page
    assert "tool-09" in page
    assert "tool-10" not in page
    address = f"/devices/{web_device.pk}/software"
    assert "tool-11" in as_operator.get(address).content.decode()
    found = as_operator.get(f"{address}?search=-05").context["installed"]
    assert [one.name for one, entry in found] == ["tool-05"]


def test_a_device_of_which_nothing_is_known_says_so(
    as_operator: Client, web_group: DeviceGroup, web_device: Device
) -> None:
    page = as_operator.get(f"/devices/{web_device.pk}/software").content.decode()
    assert "Nothing is known yet" in page


def test_what_was_there_is_put_back_after_a_question(
    as_operator: Client, deployed: DeviceRun, web_device: Device
) -> None:
    page = as_operator.get(deployed.execution.get_absolute_url()).content.decode()
    for address in (
        f"/executions/{deployed.execution_id}/restore", f"/runs/{deployed.pk}/restore",
    ):  # fmt: skip
        assert f'href="{address}"' in page
        assert "On 1 device the files" in as_operator.get(address).content.decode()
        answer = as_operator.post(address)
        made = Execution.objects.get(pk=answer["Location"].split("/")[2])
        assert (made.trigger, made.runs.get().device) == ("restore", web_device)
        shown = as_operator.get(answer["Location"]).content.decode()
        assert "Put back what was there before" in shown


def test_where_nothing_is_kept_nothing_is_offered(as_operator: Client, deployed: DeviceRun) -> None:
    tell(deployed, summary="already in place", changed=False)
    page = as_operator.get(deployed.execution.get_absolute_url()).content.decode()
    assert "Put back what was there" not in page
    for address in (
        f"/executions/{deployed.execution_id}/restore", f"/runs/{deployed.pk}/restore",
    ):  # fmt: skip
        assert "No device keeps anything of it." in as_operator.get(address).content.decode()
        assert "No device keeps" in as_operator.post(address, follow=True).content.decode()
    assert Execution.objects.count() == 1


def test_a_group_by_query_is_marked_in_the_list(as_admin: Client, web_group: DeviceGroup) -> None:
    assert "by query" not in as_admin.get("/groups/").content.decode()
    as_admin.post("/groups/new", {"name": "linux", "description": "", "query": "os = linux"})
    page = as_admin.get("/groups/").content.decode()
    assert page.count("by query") == 1
    assert "os = linux" in page


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"steps": "no", "summary": 3, "changed": "maybe", "kept": {}},
        {"steps": [None, 1, {"state": ["x"], "exit_code": True, "seconds": "long"}]},
        {"steps": [{"path": "\x1b[31m/etc", "why": "x" * 5_000}] * 500},
    ],
)
def test_whatever_a_device_says_is_read(detail: dict[str, Any]) -> None:
    said = details.read(detail)
    assert len(said.steps) <= details.MOST_STEPS
    assert all("\x1b" not in one.what and len(one.why) <= 1_000 for one in said.steps)
