from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from devices.models import DeviceGroup
from scheduling import health
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.views import calendar

pytestmark = pytest.mark.django_db

AHEAD = "date=2031-05-13"


def shown(client: Client, query: str) -> str:
    return client.get(f"/calendar/?{query}").content.decode()


@pytest.mark.parametrize("view", ["month", "week", "day"])
def test_a_planned_run_leads_to_its_task(
    as_operator: Client, task: ScheduledTask, view: str
) -> None:
    assert f'href="{task.get_absolute_url()}"' in shown(as_operator, f"view={view}&{AHEAD}")


def test_a_past_run_leads_to_what_came_of_it(as_operator: Client, task: ScheduledTask) -> None:
    at = factories.moment("2026-01-05T02:00")
    past = factories.execution(task, status="failed", scheduled_for=at)
    page = shown(as_operator, "date=2026-01-20")
    assert f'href="{past.get_absolute_url()}"' in page
    assert "1 failed or missed" in page


@pytest.mark.parametrize("trigger", ["manual", "dependency", "retry", "restore"])
def test_what_had_no_planned_time_is_in_the_history_as_the_page_says(
    as_operator: Client, task: ScheduledTask, trigger: str
) -> None:
    made = factories.execution(task, status="success", trigger=trigger)
    page = shown(as_operator, "view=month")
    assert made.get_absolute_url() not in page
    assert "by hand and after other tasks, retries and restores are in the history" in page
    assert made.get_absolute_url() in as_operator.get("/executions/").content.decode()


def test_the_times_are_those_of_the_zone_it_names(as_operator: Client, task: ScheduledTask) -> None:
    page = shown(as_operator, f"view=day&zone=Asia/Tokyo&{AHEAD}")
    assert "By the clock of Asia/Tokyo." in page
    assert '<time datetime="2031-05-13T02:00:00Z">11:00</time>' in page
    assert "02:00 UTC" in page


def test_the_day_on_which_clocks_go_back_has_the_hour_twice(as_operator: Client) -> None:
    page = shown(as_operator, "view=day&date=2026-10-25&zone=Europe/Berlin")
    assert page.count('<th scope="row">') == 25
    assert "02:00 UTC+02:00" in page
    assert "02:00 UTC+01:00" in page


def test_what_does_not_fit_a_day_is_counted_and_leads_there(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    for number in range(5):
        factories.task(operator, groups=[web_group], name=f"task {number}")
    page = shown(as_operator, AHEAD)
    assert "2 more" in page
    assert "?view=day&amp;date=2031-05-13&amp;zone=UTC" in page


def test_a_full_hour_leads_to_its_minutes(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    for number in range(10):
        factories.task(operator, groups=[web_group], name=f"task {number}")
    assert "?view=hour&amp;date=2031-05-13T02%3A00Z" in shown(as_operator, f"view=day&{AHEAD}")
    assert "2 more" in shown(as_operator, "view=hour&date=2031-05-13T02:00Z")


def test_collisions_are_marked_and_explained(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    for _ in range(2):
        factories.task(operator, groups=[web_group])
    page = shown(as_operator, AHEAD)
    assert "1 collision" in page
    assert "A collision: two planned tasks start in the same minute" in page


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("zone=Mars/Olympus", "There is no such time zone."),
        ("date=yesterday", "must be a day, as 2027-01-31."),
        ("date=0001-01-01", "must lie between the years"),
        ("date=9999-12-31", "must lie between the years"),
    ],
)
def test_what_is_wrong_is_said_and_stays_typed(as_operator: Client, query: str, says: str) -> None:
    page = shown(as_operator, query)
    assert says in page
    assert f'value="{query.partition("=")[2]}"' in page


def test_an_unknown_view_is_a_month(as_operator: Client) -> None:
    assert '<table class="calendar">' in shown(as_operator, "view=century")


def test_a_calendar_shows_nothing_of_others(as_outsider: Client, task: ScheduledTask) -> None:
    assert task.name not in shown(as_outsider, AHEAD)


def test_more_tasks_ask_no_more_queries(
    as_admin: Client, operator: User, web_group: DeviceGroup, task: ScheduledTask
) -> None:
    def queries() -> int:
        health.recent_checks()
        health.recent_notices()
        with CaptureQueriesContext(connection) as captured:
            shown(as_admin, AHEAD)
        return len(captured)

    before = queries()
    for _ in range(5):
        factories.task(operator, groups=[web_group])
    assert queries() == before <= 12


def test_a_live_update_is_the_calendar_alone(as_operator: Client, task: ScheduledTask) -> None:
    headers = {"HX-Request": "true", "HX-Target": "calendar"}
    page = as_operator.get("/calendar/", headers=headers).content.decode()
    assert page.lstrip().startswith("<section")
    assert "<form" not in page


@pytest.mark.parametrize(("most", "hears"), [(2, "task execution"), (1, "")])
def test_it_follows_changes_up_to_so_many_plans(
    as_operator: Client,
    operator: User,
    web_group: DeviceGroup,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    hears: str,
) -> None:
    monkeypatch.setattr(calendar, "MOST_FOLLOWED", most)
    for hour in (2, 3):
        at = {"time": f"{hour:02}:00"}
        factories.task(operator, groups=[web_group], recurrence_config=at)
    assert f'id="calendar" data-live="{hears}"' in shown(as_operator, f"view=day&{AHEAD}")
