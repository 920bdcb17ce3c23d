"""Each page: no complaint of the browser, none of axe, no sideways scrolling, in light and dark."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from accounts import tokens
from devices import enrollment, keys
from devices.models import Device, DeviceGroup
from scheduling import alarms, inventory
from scheduling.catalogue import files
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor

SERIOUS = ("serious", "critical")


@pytest.fixture
def pages(admin: User, web_group: DeviceGroup, web_device: Device) -> list[str]:
    """The address of every page, each with something on it."""
    keys.ensure_key()
    enrollment.issue(web_group, created_by=admin, name="a kiosk")
    tokens.issue(admin, "laptop", ["tasks:read"])
    factories.device("away", online=False)
    Device.objects.update(in_recovery=True)
    task = factories.task(
        admin,
        groups=[web_group],
        tags=["daily"],
        description="What it is for",
        time_zone="Asia/Tokyo",
    )
    execution = factories.execution(task)
    run = factories.run(execution, web_device, status="running")
    for status in ("succeeded", "failed", "queued", "skipped", "lost"):
        factories.run(execution, status=status)
    factories.write_output(run, b"some output\n")
    alarms.unknown_runs(web_device, [execution.pk])
    factories.execution(task, status="skipped", error_message="Nobody was there.")
    of_catalogue = _of_the_catalogue(admin, web_group, web_device)
    of_task = [f"/tasks/{task.pk}/{part}" for part in ("", "edit", "delete")]
    of_execution = [
        f"/executions/{execution.pk}/{part}" for part in ("", "cancel", "abort", "retry")
    ]
    of_run = [f"/runs/{run.pk}/cancel", *_of_a_rollout(task)]
    of_device = [f"/devices/{web_device.pk}/{part}" for part in ("", "edit", "revoke", "delete")]
    of_group = [f"/groups/{web_group.pk}/{part}" for part in ("", "edit", "delete")]
    lists = ["/", "/tasks/", "/tasks/new", "/executions/", "/devices/", "/devices/new", "/groups/"]
    others = [
        "/health/",
        "/groups/new",
        "/settings/tokens/",
        "/accounts/password/change/",
        "/accounts/logout/",
    ]
    of_work = [*of_task, *of_execution, *of_run, *of_catalogue]
    return [*lists, *of_work, *of_device, *of_group, *others]


def _of_the_catalogue(admin: User, group: DeviceGroup, device: Device) -> list[str]:
    """A file and a software in use, and a deployment of each that has ended on the device."""
    file = files.create(admin, {"name": "motd", "description": "Hi"}, iter([b"hello"]), 5)
    spare = files.create(admin, {"name": "spare"}, iter([b"spare"]), 5)
    deb = {"os": "linux", "format": "deb", "file_id": str(file.pk), "detect_command": "tool -v"}
    needed = factories.software(admin, name="Library")
    entry = factories.software(
        admin, sources=[deb], category="Office", dependency_ids=[str(needed.pk)]
    )
    inventory.note(device.pk, {"installed": [{"name": "Tool", "version": "1.0"}]}, timezone.now())
    payload = {"file_ids": [str(file.pk)], "target_path": "/etc/motd"}
    task = factories.task(admin, groups=[group], task_type="file_deployment", task_payload=payload)
    execution = factories.execution(task)
    run = factories.run(execution, device, status="succeeded")
    steps = [{"path": "/etc/motd", "state": "replaced"}, {"software": "x", "reboot_required": True}]
    said = {"summary": "done", "changed": True, "steps": steps, "reboot_required": True}
    DeviceRun.objects.filter(pk=run.pk).update(detail={**said, "kept": ["/etc/motd"]})
    result = {"devices_targeted": 1, "devices_succeeded": 1, "counts": {"succeeded": 1}}
    Execution.objects.filter(pk=execution.pk).move(
        "success", completed_at=timezone.now(), result=result
    )
    of_file = [f"/files/{file.pk}/", f"/files/{file.pk}/edit", f"/files/{spare.pk}/delete"]
    of_software = [f"/software/{entry.pk}/{part}" for part in ("", "edit", "delete")]
    return [
        "/files/",
        "/files/new",
        "/software/",
        "/software/new",
        *of_file,
        *of_software,
        f"/devices/{device.pk}/software",
        f"/tasks/new?file={file.pk}",
        f"/tasks/{task.pk}/",
        f"/executions/{execution.pk}/",
        f"/executions/{execution.pk}/restore",
        f"/runs/{run.pk}/restore",
    ]


def _of_a_rollout(task: ScheduledTask) -> list[str]:
    """An execution in waves, and one that has ended with something to retry."""
    held = factories.execution(task, open_wave=2, rollout_paused_at=timezone.now())
    for wave, status in enumerate(("succeeded", "running", "pending"), start=1):
        factories.run(held, status=status, wave=wave)
    ended = factories.execution(task)
    for status in ("failed", "lost", "succeeded"):
        factories.run(ended, status=status)
    Execution.objects.filter(pk=ended.pk).move("failed", completed_at=timezone.now())
    rollout = f"/executions/{held.pk}/"
    return [rollout, f"{rollout}cancel?wave=2", f"/executions/{ended.pk}/retry"]


EMPTY = [
    "/",
    "/tasks/",
    "/executions/",
    "/files/",
    "/software/",
    "/devices/",
    "/groups/",
    "/settings/tokens/",
]
ENTRANCE = ["/accounts/login/", "/accounts/password/reset/", "/accounts/signup/"]


def violations(visitor: Visitor) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(visitor.page).response["violations"]
    return [
        f"{visitor.page.url}: {one['id']}: {node['html']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def overflow(visitor: Visitor) -> list[str]:
    """The page, where it is wider than the window."""
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return [visitor.page.url] if visitor.page.evaluate(wider) else []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_and_work_every_page(
    visitor: Visitor, pages: list[str], scheme: Any
) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.signs_in("admin")
    wrong = []
    for path in pages:
        visitor.opens(path)
        visitor.unfolds_everything()
        wrong += violations(visitor)
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_somebody_who_has_nothing_yet(
    visitor: Visitor, operator: User, scheme: Any
) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    wrong = []
    for path in ENTRANCE:
        visitor.opens(path)
        wrong += violations(visitor)
    visitor.signs_in("operator")
    for path in EMPTY:
        visitor.opens(path)
        wrong += violations(visitor)
    assert wrong == []


def test_no_page_scrolls_sideways_on_a_telephone(visitor: Visitor, pages: list[str]) -> None:
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    visitor.signs_in("admin")
    wide = []
    for path in pages:
        visitor.opens(path)
        visitor.unfolds_everything()
        wide += overflow(visitor)
    assert wide == []


def test_the_menu_opens_on_a_telephone(visitor: Visitor, operator: User) -> None:
    visitor.page.set_viewport_size({"width": 375, "height": 800})
    visitor.signs_in("operator")
    link = visitor.page.get_by_role("navigation").get_by_role("link", name="Devices")
    expect(link).to_be_hidden()
    visitor.page.get_by_role("button", name="Menu").click()
    link.click()
    expect(visitor.page).to_have_title("Devices · DeployX")


def test_the_first_tab_stop_leads_past_the_menu(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_a_page_says_which_language_it_is_in(german_visitor: Visitor) -> None:
    german_visitor.opens("/accounts/login/")
    expect(german_visitor.page.locator("html")).to_have_attribute("lang", "de")


def test_the_administration_works_under_the_same_policy(visitor: Visitor, pages: list[str]) -> None:
    visitor.signs_in("admin")
    for path in ("/admin/", "/admin/scheduling/scheduledtask/", "/admin/auth/user/add/"):
        page = visitor.opens(path)
        expect(page.locator("#site-name")).to_be_visible()
