"""The calendar, the overview and the way around, as they are used."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.formats import date_format
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling import live
from scheduling.models import Execution
from scheduling.tests import factories
from tests.browser.conftest import Visitor

AHEAD = "/calendar/?date=2031-05-13"


@pytest.fixture
def five_tasks(operator: User, web_group: DeviceGroup) -> None:
    for number in range(5):
        time = {"time": f"0{number}:30"}
        factories.task(operator, groups=[web_group], name=f"Task {number}", recurrence_config=time)


def test_from_the_month_to_the_day_to_the_task(
    visitor: Visitor, operator: User, five_tasks: None
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(AHEAD)
    page.get_by_role("link", name=re.compile(r"2 more\W+Tuesday, 13 May 2031")).click()
    expect(page.get_by_role("heading", name="Tuesday, 13 May 2031")).to_be_visible()
    row = page.get_by_role("row", name="04:00")
    row.get_by_role("link", name="04:30 Task 4 Planned").click()
    expect(page.get_by_role("heading", name="Task 4")).to_be_visible()


def test_the_keyboard_turns_the_leaves(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(AHEAD)
    page.get_by_role("link", name="Later").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="June 2031", exact=True)).to_be_visible()
    page.get_by_role("link", name="Week", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="26 May – 1 Jun 2031")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="June 2031", exact=True)).to_be_visible()


@pytest.mark.thorough
def test_without_javascript_the_zone_is_chosen(
    plain_visitor: Visitor, operator: User, five_tasks: None
) -> None:
    plain_visitor.signs_in("operator")
    page = plain_visitor.opens(f"{AHEAD}&view=day")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("By the clock of Asia/Tokyo.")).to_be_visible()
    expect(page.get_by_role("link", name="09:30 Task 0 Planned")).to_be_visible()


@pytest.mark.thorough
def test_a_narrow_page_lists_the_days_that_have_something(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    once = {"run_at": "2031-05-13T02:00"}
    factories.task(operator, groups=[web_group], recurrence_type="once", recurrence_config=once)
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    visitor.signs_in("operator")
    page = visitor.opens(AHEAD)
    expect(page.get_by_role("link", name="Tuesday, 13 May 2031")).to_be_visible()
    expect(page.get_by_role("link", name="Wednesday, 14 May 2031")).to_be_hidden()


def test_a_task_that_somebody_else_schedules_shows_in_the_open_calendar(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(f"{AHEAD}&view=day")
    visitor.waits_for_line()
    task = factories.task(operator, groups=[web_group], name="Brand new")
    live.changed("task", [task.pk])
    expect(page.get_by_role("link", name="02:00 Brand new Planned")).to_be_visible()


@pytest.mark.thorough
def test_a_failure_shows_in_the_open_overview_and_leads_there(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group], name="Backup")
    factories.execution(task, status="success")
    visitor.signs_in("operator")
    page = visitor.opens("/")
    expect(page.get_by_text("All went well: 1 execution ended")).to_be_visible()
    visitor.waits_for_line()
    failed = factories.execution(task, status="failed")
    live.changed("execution", [failed.pk])
    expect(page.get_by_text("1 of 2 executions of the last 24 hours succeeded.")).to_be_visible()
    page.get_by_role("link", name="1 Failed").click()
    expect(page.get_by_role("cell", name="Backup")).to_have_count(1)


@pytest.mark.thorough
def test_the_chart_is_there_as_a_table(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    # On one day for certain, be it midnight.
    ended = timezone.now() - timedelta(days=3)
    for status in ("success", "success", "failed"):
        made = factories.execution(task, status=status, created_at=ended, started_at=ended)
        Execution.objects.filter(pk=made.pk).update(completed_at=ended)
    visitor.signs_in("operator")
    chart = visitor.opens("/").locator("#chart-days")
    expect(chart.get_by_role("img", name="Runs per day")).to_be_visible()
    chart.get_by_text("As a table").click()
    that_day = chart.get_by_role("row", name=date_format(ended, "D j M"))
    expect(that_day.get_by_role("cell")).to_have_text(["2", "0", "1", "0", "0"])


def test_the_menu_leads_everywhere_and_nowhere_that_is_not_there(
    visitor: Visitor, admin: User
) -> None:
    visitor.signs_in("admin")
    links = visitor.opens("/").get_by_role("navigation", name="Main").get_by_role("link")
    for address in [one.get_attribute("href") for one in links.all()]:
        assert visitor.page.request.get(f"{visitor.address}{address}").status == 200, address


@pytest.mark.thorough
def test_the_menu_keeps_from_people_what_is_for_administrators(
    visitor: Visitor, operator: User
) -> None:
    visitor.signs_in("operator")
    menu = visitor.opens("/").get_by_role("navigation", name="Main")
    expect(menu.get_by_role("link", name="Calendar")).to_be_visible()
    expect(menu.get_by_role("link", name="Administration")).to_have_count(0)
