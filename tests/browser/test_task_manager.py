"""The list of tasks as a person works with it: ticks, copies, templates, and somebody else at it too."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import Execution, ScheduledTask, TaskTemplate
from scheduling.tests import factories
from tests.browser.conftest import Visitor, _visit


@pytest.fixture
def colleague(chromium: Browser, server: str, transactional_db: None) -> Iterator[Visitor]:
    """Somebody else at another browser."""
    yield from _visit(chromium, server)


@pytest.fixture
def tasks(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    names = ("Disk space", "Backups", "Disk health")
    return [factories.task(operator, groups=[web_group], name=name) for name in names]


def tick(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("checkbox", name=name, exact=True).check()


def press(page: Page, name: str) -> None:
    """The button of the ticked tasks."""
    page.get_by_role("form", name="Ticked tasks").get_by_role("button", name=name).click()


def test_what_a_search_found_is_ticked_and_deleted_after_a_question(
    visitor: Visitor, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_label("Search by name").press_sequentially("disk")
    expect(page.get_by_role("link", name="Backups", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"search=disk"))
    page.get_by_label("Tick all on this page").check()
    expect(page.get_by_text("2 ticked")).to_be_visible()
    press(page, "Delete")
    page.get_by_role("heading", name="Delete 2 tasks?").wait_for()
    page.get_by_text("They no longer run on the 1 device they target now.").wait_for()
    assert ScheduledTask.objects.count() == 3
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("2 tasks are deleted.").wait_for()
    expect(page).to_have_url(re.compile(r"search=disk"))
    assert ScheduledTask.objects.get().name == "Backups"


def test_ticks_outlive_the_answer_to_a_search(visitor: Visitor, tasks: list[ScheduledTask]) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    tick(page, "Disk space", "Backups")
    page.get_by_label("Search by name").press_sequentially("disk")
    expect(page.get_by_role("link", name="Backups", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"search=disk"))
    expect(page.get_by_text("1 ticked")).to_be_visible()


def test_all_that_match_are_paused_resumed_and_started(
    visitor: Visitor, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/?search=disk")
    for button, said in (
        ("Pause", "2 tasks are paused."),
        ("Resume", "2 tasks go on."),
        ("Execute now", "2 tasks were started."),
    ):
        page.get_by_label("All 2 that match").check()
        press(page, button)
        page.wait_for_url("**/tasks/bulk/*")
        page.get_by_role("main").get_by_role("button", name=button).click()
        page.get_by_text(said).wait_for()
    assert Execution.objects.count() == 2


@pytest.mark.thorough
def test_ticks_work_without_a_script(plain_visitor: Visitor, tasks: list[ScheduledTask]) -> None:
    plain_visitor.signs_in("operator")
    page = plain_visitor.opens("/tasks/")
    tick(page, "Disk space", "Backups")
    press(page, "Pause")
    page.wait_for_url("**/tasks/bulk/*")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("2 tasks are paused.").wait_for()
    page.get_by_text("1 group").first.click()
    assert ScheduledTask.objects.filter(is_paused=True).count() == 2


def test_some_fields_of_several_are_edited_and_the_page_says_who_did_it(
    visitor: Visitor, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    tick(page, "Disk space", "Backups")
    press(page, "Edit")
    page.get_by_role("button", name="Change 2 tasks").click()
    page.get_by_text("Choose at least one thing to change.").wait_for()
    page.get_by_label("If a device is offline").select_option("Skip it")
    page.get_by_label("Add tags").fill("fleet")
    page.get_by_role("button", name="Change 2 tasks").click()
    page.get_by_text("2 tasks are changed.").wait_for()
    page.get_by_role("link", name="Backups", exact=True).click()
    expect(page.get_by_text("Edited by operator")).to_be_visible()
    expect(page.locator(".change-new", has_text="Skip it")).to_be_visible()


@pytest.mark.thorough
def test_a_copy_is_a_form_to_be_changed_first(visitor: Visitor, tasks: list[ScheduledTask]) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_role("link", name="Duplicate: Backups").click()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_value("Copy of Backups")
    assert ScheduledTask.objects.count() == 3
    name.fill("Backups, twice")
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Backups, twice” is scheduled.").wait_for()
    copy = ScheduledTask.objects.get(name="Backups, twice")
    assert copy.group_ids == tasks[1].group_ids


@pytest.mark.thorough
def test_a_task_becomes_a_template_and_that_another_task(
    visitor: Visitor, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(tasks[0].get_absolute_url())
    page.get_by_role("link", name="Save as template").click()
    page.get_by_label("Name", exact=True).fill("Disk check")
    page.get_by_role("button", name="Save as template").click()
    page.get_by_text("“Disk check” is kept as a template.").wait_for()
    assert TaskTemplate.objects.get().definition["group_ids"] == tasks[0].group_ids
    page.get_by_role("link", name="New task: Disk check").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Disk check")
    expect(page.get_by_label("web", exact=True)).to_be_checked()
    page.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Disk check” is scheduled.").wait_for()
    made = ScheduledTask.objects.get(name="Disk check")
    assert made.task_payload == tasks[0].task_payload
    assert made.recurrence_config == tasks[0].recurrence_config


def test_two_people_see_each_others_changes_and_keep_what_they_were_at(
    visitor: Visitor, colleague: Visitor, admin: User, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    colleague.signs_in("admin")
    mine, theirs = visitor.opens("/tasks/"), colleague.opens("/tasks/")
    visitor.waits_for_line()
    colleague.waits_for_line()
    tick(mine, "Backups", "Disk health")
    row = mine.get_by_role("row", name=re.compile("Backups"))
    row.get_by_text("1 group").click()
    mine.get_by_label("Search by name").focus()
    theirs.get_by_role("button", name="Pause: Backups").click()
    expect(row.get_by_text("Paused", exact=True)).to_be_visible()
    expect(mine.get_by_role("checkbox", name="Backups", exact=True)).to_be_checked()
    expect(mine.get_by_text("2 ticked")).to_be_visible()
    expect(row.get_by_text("Owner")).to_be_visible()
    expect(mine.get_by_label("Search by name")).to_be_focused()
    colleague.waits_for_line()
    mine.get_by_role("button", name="Resume: Backups").click()
    there = theirs.get_by_role("row", name=re.compile("Backups"))
    expect(there.get_by_text("Pending")).to_be_visible()


@pytest.mark.thorough
def test_what_somebody_else_deletes_goes_from_an_open_page(
    visitor: Visitor, admin: User, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    visitor.waits_for_line()
    tick(page, "Backups", "Disk space")
    schedules.delete(tasks[1], admin)
    expect(page.get_by_role("row", name=re.compile("Backups"))).to_have_count(0)
    expect(page.get_by_text("1 ticked")).to_be_visible()


@pytest.mark.thorough
def test_a_saved_view_is_one_click_and_its_link_can_be_copied(
    visitor: Visitor, operator: User, web_group: DeviceGroup, tasks: list[ScheduledTask]
) -> None:
    schedules.pause(tasks[0], operator)
    factories.by_hand(operator, groups=[web_group], name="Restart")
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_role("link", name="Nothing left to come").click()
    expect(page.get_by_role("link", name="Backups", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Restart", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=tasks[0].name, exact=True)).to_have_count(0)
    expect(page.get_by_label("Next run")).to_have_value("over")
    page.get_by_text("Link to this view").click()
    expect(page.locator("#this-view")).to_contain_text("/tasks/?due=over&sort=last")
