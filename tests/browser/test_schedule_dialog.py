"""The schedule dialog, as people use it: by mouse, by keyboard, when refused, and cut off."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, Route, expect

from accounts import tokens
from devices.models import DeviceGroup
from scheduling.models import Execution, ScheduledTask
from tests.browser.accessibility import overflow, violations
from tests.browser.conftest import Visitor


def opened(visitor: Visitor) -> Locator:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    page.get_by_role("link", name="Schedule a task").first.click()
    return page.get_by_role("dialog", name="Schedule a task")


def fill_in(dialog: Locator) -> None:
    dialog.get_by_label("Name", exact=True).fill("Disk space")
    dialog.get_by_label("Commands 1").fill("df -h")
    dialog.get_by_label("web", exact=True).check()
    dialog.get_by_text("1 device now (1 group), 0 offline.").wait_for()


def press(dialog: Locator, *labels: str) -> None:
    """Buttons in a row, which are radio buttons and checkboxes underneath."""
    for label in labels:
        dialog.locator(".toggles").get_by_text(label, exact=True).click()


def once(dialog: Locator) -> None:
    press(dialog, "Once")
    dialog.get_by_label("Date and time").fill("2090-01-31T02:00")


def interval(dialog: Locator) -> None:
    press(dialog, "Interval")
    dialog.get_by_label("Every", exact=True).fill("15")
    dialog.get_by_label("Unit", exact=True).first.select_option("minutes")


def daily(dialog: Locator) -> None:
    press(dialog, "Daily")
    dialog.get_by_label("Every", exact=True).fill("3")
    dialog.get_by_label("Time", exact=True).fill("02:30")


def weekly(dialog: Locator) -> None:
    press(dialog, "Weekly", "Tuesday", "Friday")
    dialog.get_by_label("Time", exact=True).fill("06:30")


def monthly(dialog: Locator) -> None:
    press(dialog, "Monthly")
    dialog.get_by_label("Which of the weekdays").select_option("second")
    dialog.get_by_label("Weekday", exact=True).select_option("Tuesday")


def custom(dialog: Locator) -> None:
    press(dialog, "Custom")
    dialog.get_by_role("button", name="*/15 8-18 * * 1-5").click()


def start_later(dialog: Locator) -> None:
    """At a time from which the same runs come next, whenever it is asked."""
    dialog.get_by_text("Options:").click()
    dialog.get_by_label("Not before").fill("2090-01-01T00:00")


TYPES: dict[str, tuple[Callable[[Locator], None], Any]] = {
    "once": (once, {"run_at": "2090-01-31T02:00"}),
    "interval": (interval, {"every": 15, "unit": "minutes"}),
    "daily": (daily, {"time": "02:30", "every": 3}),
    "weekly": (weekly, {"time": "06:30", "days_of_week": [1, 4], "every": 1}),
    "monthly": (monthly, {"time": "02:00", "nth": 2, "weekday": 1, "every": 1}),
    "custom": (custom, {"cron_expression": "*/15 8-18 * * 1-5"}),
}


def previewed(visitor: Visitor, user: User, kind: str, config: Any) -> tuple[str, list[str]]:
    """What the API says of the rule: the sentence, and when it runs next."""
    token = tokens.issue(user, "test", ["tasks:read"])[1]
    rule = {"recurrence_type": kind, "recurrence_config": config, "time_zone": "Europe/Berlin"}
    start = {} if kind == "once" else {"start_at": "2090-01-01T00:00:00+01:00"}
    answer = httpx.post(
        f"{visitor.address}/api/schedule/preview",
        json={**rule, **start, "count": 5},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    ).json()
    return answer["text"], [run["at"] for run in answer["runs"]]


@pytest.mark.parametrize("kind", TYPES)
def test_a_task_of_each_type_is_scheduled_and_runs_as_the_preview_said(
    visitor: Visitor, operator: User, web_group: DeviceGroup, kind: str
) -> None:
    choose, config = TYPES[kind]
    dialog = opened(visitor)
    fill_in(dialog)
    dialog.get_by_label("Time zone").fill("Europe/Berlin")
    choose(dialog)
    if kind != "once":
        start_later(dialog)
    text, runs = previewed(visitor, operator, kind, config)
    preview = dialog.locator("#preview")
    expect(preview.locator("p").first).to_have_text(text[0].upper() + text[1:])
    shown = preview.locator("li > span:first-child time")
    expect(shown).to_have_count(len(runs))
    for place, run in enumerate(runs):
        expect(shown.nth(place)).to_have_attribute("datetime", run)
    dialog.get_by_role("button", name="Schedule task").click()
    visitor.page.get_by_text("“Disk space” is scheduled.").wait_for()
    task = ScheduledTask.objects.get()
    assert (task.recurrence_type, task.recurrence_config) == (kind, config)
    assert task.schedule_text == text


def test_only_the_fields_of_the_chosen_type_show(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    time, days = dialog.get_by_label("Time", exact=True), dialog.get_by_text("Tuesday", exact=True)
    expect(time).to_be_visible()
    press(dialog, "Weekly")
    expect(days.first).to_be_visible()
    press(dialog, "Custom")
    expect(time).to_be_hidden()
    expect(days.first).to_be_hidden()
    expect(dialog.get_by_label("Cron expression")).to_be_visible()


def test_a_run_that_a_clock_change_moves_says_so(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    press(dialog, "Once")
    dialog.get_by_label("Time zone").fill("Europe/Berlin")
    dialog.get_by_label("Date and time").fill("2089-03-27T02:30")
    run = dialog.locator("#preview li")
    expect(run).to_have_count(1)
    expect(run).to_contain_text("03:00 Europe/Berlin")
    expect(run).to_contain_text("01:00 UTC")
    expect(run.locator(".badge")).to_be_visible()


def test_what_is_refused_stays_as_typed_with_the_first_wrong_field_in_focus(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    fill_in(dialog)
    press(dialog, "Interval")
    dialog.get_by_label("Every", exact=True).fill("0")
    dialog.get_by_role("button", name="Schedule task").click()
    every = dialog.get_by_label("Every", exact=True)
    expect(every).to_be_focused()
    expect(every).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_text("must be a whole number from 1")).to_have_count(2)
    expect(dialog.get_by_label("Commands 1")).to_have_value("df -h")
    expect(dialog.get_by_label("web", exact=True)).to_be_checked()
    every.fill("6")
    every.press("Enter")
    visitor.page.get_by_text("“Disk space” is scheduled.").wait_for()


def test_by_keyboard_alone(visitor: Visitor, operator: User, web_group: DeviceGroup) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    opener = page.get_by_role("link", name="Schedule a task").first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Disk space")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Disk space")
    tab_to(page, "Commands 1")
    page.keyboard.type("df -h")
    tab_to(page, "web")
    page.keyboard.press("Space")
    dialog.get_by_text("1 device now").wait_for()
    expect(dialog.get_by_label("web", exact=True)).to_be_focused()
    tab_to(page, "Daily")
    page.keyboard.press("ArrowRight")
    tab_to(page, "Monday")
    page.keyboard.press("Space")
    expect(dialog.locator("#preview")).to_contain_text("Every Monday at 02:00, UTC")
    page.keyboard.press("Enter")
    page.get_by_text("“Disk space” is scheduled.").wait_for()
    assert ScheduledTask.objects.get().recurrence_type == "weekly"


def tab_to(page: Page, label: str) -> None:
    """Presses Tab until the field with this label has the focus."""
    field = page.get_by_role("dialog").get_by_label(label, exact=True)
    for _step in range(40):
        page.keyboard.press("Tab")
        if field.evaluate("one => one === document.activeElement"):
            return
    pytest.fail(f"Tab does not come to {label}")


def test_execute_now_runs_it_and_leads_to_its_execution(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    dialog.get_by_label("Commands 1").fill("df -h")
    dialog.get_by_label("web", exact=True).check()
    dialog.get_by_text("1 device now (1 group), 0 offline.").wait_for()
    dialog.get_by_role("button", name="Execute now").click()
    visitor.page.wait_for_url("**/executions/*/")
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("df -h")
    assert not ScheduledTask.objects.listed().exists()


@pytest.mark.thorough
def test_what_the_server_does_not_take_is_not_lost(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    fill_in(dialog)

    def cut(route: Route) -> None:
        route.abort()

    visitor.page.route("**/tasks/new", cut)
    dialog.get_by_role("button", name="Schedule task").click()
    dialog.get_by_text("Nothing that you typed is lost").wait_for()
    visitor.page.unroute("**/tasks/new")
    dialog.get_by_role("button", name="Schedule task").click()
    visitor.page.get_by_text("“Disk space” is scheduled.").wait_for()
    # Of the cut the browser itself complains, and of nothing else.
    assert all(re.search("ERR_FAILED|sendError|afterRequest", one) for one in visitor.complaints)
    visitor.complaints.clear()


@pytest.mark.thorough
def test_what_names_something_that_is_deleted_at_this_moment_is_not_lost(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    fill_in(dialog)
    visitor.page.route("**/tasks/new", lambda route: route.fulfill(status=409))
    dialog.get_by_role("button", name="Schedule task").click()
    dialog.get_by_text("What you typed is still here").wait_for()
    expect(dialog.get_by_text("Nothing that you typed is lost")).to_be_hidden()
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Disk space")
    # Of the status the browser itself complains, and of nothing else.
    assert all("409" in one for one in visitor.complaints)
    visitor.complaints.clear()


@pytest.mark.thorough
def test_somebody_who_was_signed_out_meanwhile_keeps_what_was_typed(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    dialog = opened(visitor)
    fill_in(dialog)
    # A page that caught up only afterwards would go to the sign-in, with the dialog on it.
    visitor.waits_for_line()
    visitor.page.context.clear_cookies(name="sessionid")
    dialog.get_by_role("button", name="Schedule task").click()
    dialog.get_by_text("Nothing that you typed is lost").wait_for()
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Disk space")
    assert not ScheduledTask.objects.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_and_work_it(
    visitor: Visitor, operator: User, web_group: DeviceGroup, scheme: Any
) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    dialog = opened(visitor)
    dialog.get_by_role("button", name="Schedule task").click()
    expect(dialog.get_by_role("alert").first).to_be_visible()
    visitor.unfolds_everything()
    wrong = violations(visitor)
    for kind in ("Once", "Interval", "Weekly", "Monthly", "Custom"):
        press(dialog, kind)
        wrong += violations(visitor)
    assert wrong == []


@pytest.mark.thorough
def test_it_fits_a_telephone(visitor: Visitor, operator: User, web_group: DeviceGroup) -> None:
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    dialog = opened(visitor)
    visitor.unfolds_everything()
    for kind in ("Once", "Interval", "Daily", "Weekly", "Monthly", "Custom"):
        press(dialog, kind)
        assert dialog.evaluate("one => one.scrollWidth <= one.clientWidth"), kind
    assert overflow(visitor) == []
    edge = "one => one.getBoundingClientRect().right <= document.documentElement.clientWidth"
    assert dialog.evaluate(edge)
    expect(dialog.get_by_role("button", name="Schedule task")).to_be_in_viewport()


def test_without_javascript_the_same_link_leads_to_a_form_that_schedules_and_executes(
    plain_visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    plain_visitor.signs_in("operator")
    for button in ("Schedule task", "Execute now"):
        page = plain_visitor.opens("/tasks/")
        page.get_by_role("link", name="Schedule a task").first.click()
        page.get_by_label("Name", exact=True).fill("Disk space")
        page.get_by_label("Commands 1").fill("df -h")
        page.get_by_label("web", exact=True).check()
        page.get_by_role("button", name=button).click()
        page.get_by_role("heading", level=1).get_by_text("Disk space").wait_for()
    assert ScheduledTask.objects.listed().count() == 1
    assert Execution.objects.count() == 1
