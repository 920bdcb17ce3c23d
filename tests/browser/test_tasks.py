"""From the sign-in to a task that is paused and goes on, as a person does it."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor


def test_a_task_is_made_in_the_form_and_shows_in_the_list(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/new")
    page.get_by_label("Name", exact=True).fill("Disk space")
    page.get_by_label("Commands 1").fill("df -h")
    page.get_by_role("button", name="One more").click()
    page.get_by_label("Commands 2").fill("uptime")
    page.get_by_label("web", exact=True).check()
    page.get_by_text("1 device now").wait_for()
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Disk space” is scheduled.").wait_for()
    task = ScheduledTask.objects.get()
    assert task.task_payload["commands"] == ["df -h", "uptime"]
    assert task.group_ids == [str(web_group.pk)]
    visitor.opens("/tasks/")
    row = page.get_by_role("row", name=re.compile("Disk space"))
    expect(row.get_by_text("Pending")).to_be_visible()


def test_the_preview_follows_what_is_typed(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/new")
    page.get_by_text("Weekly", exact=True).click()
    page.get_by_label("Friday").check(force=True)
    page.get_by_label("Time", exact=True).fill("14:30")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Every Friday at 14:30, Europe/Berlin")
    expect(preview.get_by_role("listitem")).to_have_count(5)
    page.get_by_text("Custom", exact=True).click()
    expect(page.get_by_label("Time", exact=True)).to_be_hidden()
    page.get_by_label("Cron expression").fill("61 * * * *")
    expect(preview.get_by_role("listitem")).to_have_count(0)
    page.get_by_role("button", name="30 3 * * sun").click()
    expect(preview.get_by_role("listitem")).to_have_count(5)


@pytest.mark.thorough
def test_what_is_refused_keeps_what_was_typed_with_the_reason_beside_it(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/new")
    page.get_by_label("Commands 1").fill("df -h")
    page.get_by_label("web", exact=True).check()
    page.get_by_text("1 device now").wait_for()
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("Nothing was saved yet").wait_for()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Commands 1")).to_have_value("df -h")
    expect(page.get_by_label("web", exact=True)).to_be_checked()
    name.fill("Disk space")
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Disk space” is scheduled.").wait_for()


@pytest.mark.thorough
def test_the_form_works_without_a_script(
    plain_visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    plain_visitor.signs_in("operator")
    page = plain_visitor.opens("/tasks/new")
    page.get_by_label("Name", exact=True).fill("Disk space")
    page.get_by_label("Commands 1").fill("df -h")
    page.get_by_label("web", exact=True).check()
    page.get_by_text("Interval", exact=True).click()
    page.get_by_label("Every", exact=True).fill("6")
    page.get_by_role("button", name="Show the next runs").click()
    page.get_by_text("Every 6 hours").wait_for()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Disk space")
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Disk space” is scheduled.").wait_for()
    assert ScheduledTask.objects.get().recurrence_config == {"every": 6, "unit": "hours"}


def test_a_task_is_paused_and_goes_on_from_the_list(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/?status=pending")
    page.get_by_role("button", name="Pause: Disk space").click()
    page.get_by_text("“Disk space” is paused.").wait_for()
    assert page.url.endswith("/tasks/?status=pending")
    visitor.opens("/tasks/?status=paused")
    page.get_by_role("button", name="Resume: Disk space").click()
    page.get_by_text("“Disk space” goes on.").wait_for()
    task.refresh_from_db()
    assert not task.is_paused


def test_the_search_filters_while_typing_and_the_address_follows(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    for name in ("Disk space", "Backups"):
        factories.task(operator, groups=[web_group], name=name)
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_label("Search by name").press_sequentially("back")
    expect(page.get_by_role("link", name="Disk space", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?search=back"))
    expect(page.get_by_label("Search by name")).to_be_focused()
    page.get_by_role("link", name="Backups", exact=True).click()
    page.go_back()
    expect(page.get_by_label("Search by name")).to_have_value("back")
    expect(page.get_by_role("link", name="Disk space", exact=True)).to_have_count(0)


def test_a_change_made_elsewhere_shows_without_disturbing_the_reader(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    visitor.waits_for_line()
    row = page.get_by_role("row", name=re.compile("Disk space"))
    row.get_by_text("1 group").click()
    edit = page.get_by_role("link", name="Edit: Disk space")
    edit.focus()
    schedules.pause(task, operator)
    expect(row.get_by_text("Paused")).to_be_visible()
    expect(row.get_by_text("Command", exact=True)).to_be_visible()
    expect(edit).to_be_focused()


@pytest.mark.thorough
def test_delete_asks_first(visitor: Visitor, operator: User, web_group: DeviceGroup) -> None:
    factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_role("link", name="Delete: Disk space").click()
    page.get_by_text("It will no longer run on the 1 device it targets now.").wait_for()
    assert ScheduledTask.objects.exists()
    page.get_by_role("button", name="Delete the task").click()
    page.get_by_text("“Disk space” is deleted.").wait_for()
    assert not ScheduledTask.objects.exists()
