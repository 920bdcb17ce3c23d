"""Planned and past occurrences in a stretch of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from rest_framework.test import APIClient

from scheduling import calendar, schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("in_2026")
CALENDAR = "/api/schedule/calendar"
BERLIN = "Europe/Berlin"


def ask(client: APIClient, since: str = "", until: str = "") -> Any:
    return client.get(CALENDAR, {"from": since, "to": until})


def rows(client: APIClient, since: str, until: str) -> list[dict[str, Any]]:
    answer = ask(client, since, until)
    assert answer.status_code == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def times(client: APIClient, since: str, until: str) -> list[str]:
    return [row["at"] for row in rows(client, since, until)]


def planned_in_2027(user: User, **changes: Any) -> ScheduledTask:
    """Daily at 02:00 in Berlin from the spring of 2027 on."""
    start = factories.moment("2027-03-01T00:00:00")
    return factories.task(user, time_zone=BERLIN, start_at=start, **changes)


def test_a_planned_occurrence_says_whose_it_is_and_when(api: APIClient, operator: User) -> None:
    task = planned_in_2027(operator, groups=[factories.group(people=[operator])])
    assert rows(api, "2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z") == [
        {
            "kind": "planned",
            "task_id": str(task.pk),
            "task_name": "Disk space",
            "task_type": "command",
            "at": "2027-03-01T01:00:00Z",
            "local": "2027-03-01T02:00:00+01:00",
            "time_zone": BERLIN,
            "status": None,
            "execution_id": None,
            "note": None,
        }
    ]


def test_a_past_occurrence_says_what_came_of_it(api: APIClient, task: ScheduledTask) -> None:
    at = factories.moment("2026-03-01T02:00:00")
    skipped = factories.execution(
        task, status="skipped", scheduled_for=at, error_message="Still under way."
    )
    factories.execution(task, status="success")  # by hand: no occurrence
    (row,) = rows(api, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert (row["kind"], row["status"]) == ("past", "skipped")
    assert row["execution_id"] == str(skipped.pk)
    assert row["at"] == "2026-03-01T02:00:00Z"
    assert row["note"] == "Still under way."


def test_an_occurrence_of_a_deleted_task_keeps_its_name(
    api: APIClient, task: ScheduledTask, operator: User
) -> None:
    at = factories.moment("2026-03-01T02:00:00")
    factories.execution(task, status="success", scheduled_for=at)
    schedules.delete(task, operator)
    (row,) = rows(api, "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert (row["task_id"], row["task_name"], row["time_zone"]) == (None, "Disk space", "UTC")


def test_the_start_counts_in_and_the_end_does_not(api: APIClient, operator: User) -> None:
    group = factories.group(people=[operator])
    task = planned_in_2027(operator, groups=[group])
    factories.execution(task, scheduled_for=factories.moment("2026-03-01T02:00:00"))
    days = ["2027-03-01T01:00:00Z", "2027-03-02T01:00:00Z", "2027-03-03T01:00:00Z"]
    assert times(api, days[0], days[2]) == days[:2]
    assert times(api, "2026-03-01T02:00:00Z", "2026-03-01T02:00:01Z") == ["2026-03-01T02:00:00Z"]
    assert times(api, "2026-02-01T02:00:00Z", "2026-03-01T02:00:00Z") == []


def test_the_outsider_sees_nothing_and_an_administrator_everything(
    outside: APIClient, admin_api: APIClient, task: ScheduledTask, in_2026: datetime
) -> None:
    now = in_2026
    factories.execution(task, scheduled_for=now - timedelta(days=1))
    span = (now - timedelta(days=2)).isoformat(), (now + timedelta(days=2)).isoformat()
    assert rows(outside, *span) == []
    assert {row["kind"] for row in rows(admin_api, *span)} == {"past", "planned"}


def test_it_begins_now_and_spans_a_week_unless_told_otherwise(
    api: APIClient, task: ScheduledTask, in_2026: datetime
) -> None:
    shown = ask(api).json()
    since, until = (datetime.fromisoformat(shown[name]) for name in ("from", "to"))
    assert since == in_2026
    assert until - since == timedelta(days=7)
    assert len(shown["rows"]) == 7
    assert shown["capped"] is False


@pytest.mark.parametrize(
    ("since", "until", "wrong"),
    [
        ("tomorrow", "", ["from"]),
        ("2027-03-01", "", ["from"]),
        ("2027-03-01T00:00:00", "2027-03-01T00:00", ["from", "to"]),
        ("2027-13-01T00:00:00Z", "2027-03-01T00:00:00Z", ["from"]),
        ("2027-03-02T00:00:00Z", "2027-03-01T00:00:00Z", ["to"]),
        ("2027-01-01T00:00:00Z", "2028-01-02T00:00:01Z", ["to"]),
        ("0001-01-01T00:00:00+10:00", "", ["from"]),
        ("2199-01-01T00:00:00Z", "2199-01-02T00:00:00Z", ["from"]),
        ("9999-12-31T23:59:59Z", "", ["from"]),
    ],
)
def test_a_wrong_stretch_of_time_is_refused_by_name(
    api: APIClient, since: str, until: str, wrong: list[str]
) -> None:
    answer = ask(api, since, until)
    assert answer.status_code == 400
    assert sorted(answer.json()) == wrong


instants = some.datetimes(timezones=some.timezones()).map(lambda moment: moment.isoformat())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(some.text(max_size=20) | instants, some.text(max_size=20) | instants)
def test_whatever_is_asked_is_answered_or_refused_by_name(
    api: APIClient, task: ScheduledTask, since: str, until: str
) -> None:
    answer = ask(api, since, until)
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or answer.json().keys() <= {"from", "to"}


def test_a_year_and_its_leap_day_are_not_too_much(api: APIClient) -> None:
    assert ask(api, "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z").status_code == 200
    assert ask(api, "0001-01-01T00:00:00Z", "0001-12-31T00:00:00Z").json()["rows"] == []


def test_an_offset_is_read_whether_its_plus_was_escaped_or_not(
    api: APIClient, task: ScheduledTask
) -> None:
    written = "2027-03-01T00:00:00{}02:00"
    for plus in ("%2B", "+"):
        answer = api.get(f"{CALENDAR}?from={written.format(plus)}")
        assert answer.json()["from"] == "2027-02-28T22:00:00Z"


def test_the_day_the_clocks_jump_and_the_day_they_are_turned_back(
    api: APIClient, operator: User
) -> None:
    group = factories.group(people=[operator])
    planned_in_2027(operator, groups=[group], recurrence_config={"time": "02:30"})
    spring = rows(api, "2027-03-27T12:00:00Z", "2027-03-29T12:00:00Z")
    assert [row["at"] for row in spring] == ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
    assert spring[0]["local"] == "2027-03-28T03:00:00+02:00"
    assert "jump" in spring[0]["note"]
    assert spring[1]["note"] is None
    (autumn,) = rows(api, "2027-10-30T12:00:00Z", "2027-10-31T12:00:00Z")
    assert autumn["at"] == "2027-10-31T00:30:00Z"
    assert "turned back" in autumn["note"]


def test_a_paused_task_has_no_planned_rows(api: APIClient, operator: User) -> None:
    group = factories.group(people=[operator])
    task = planned_in_2027(operator, groups=[group])
    schedules.pause(task, operator)
    assert times(api, "2027-03-01T00:00:00Z", "2027-03-09T00:00:00Z") == []
    schedules.resume(task, operator)
    assert len(times(api, "2027-03-01T00:00:00Z", "2027-03-09T00:00:00Z")) == 8


def test_no_more_runs_are_planned_than_max_runs_leaves(api: APIClient, operator: User) -> None:
    group = factories.group(people=[operator])
    task = planned_in_2027(operator, groups=[group], max_runs=5)
    ScheduledTask.objects.filter(pk=task.pk).update(scheduled_run_count=1)
    assert len(times(api, "2027-02-01T00:00:00Z", "2027-12-01T00:00:00Z")) == 4
    last = ["2027-03-03T01:00:00Z", "2027-03-04T01:00:00Z"]
    assert times(api, last[0], "2027-12-01T00:00:00Z") == last
    assert times(api, "2027-03-05T00:00:00Z", "2027-12-01T00:00:00Z") == []


def test_the_end_and_the_excluded_dates_hold(api: APIClient, operator: User) -> None:
    planned_in_2027(
        operator,
        groups=[factories.group(people=[operator])],
        end_at="2027-03-04T01:00:00Z",
        excluded_dates=["2027-03-02"],
    )
    days = [at[8:10] for at in times(api, "2027-02-01T00:00:00Z", "2027-12-01T00:00:00Z")]
    assert days == ["01", "03", "04"]


def test_tasks_take_turns_in_order_of_time(api: APIClient, operator: User) -> None:
    group = factories.group(people=[operator])
    for hour in ("05", "03", "04"):
        planned_in_2027(
            operator, name=hour, groups=[group], recurrence_config={"time": f"{hour}:00"}
        )
    found = rows(api, "2027-03-01T00:00:00Z", "2027-03-03T00:00:00Z")
    assert [row["task_name"] for row in found] == ["03", "04", "05"] * 2
    later = rows(api, "2027-04-01T00:00:00Z", "2027-04-02T00:00:00Z")
    assert [row["task_name"] for row in later] == ["03", "04", "05"]


def test_a_year_of_every_ten_seconds_is_capped_and_crowds_nobody_out(
    api: APIClient, operator: User
) -> None:
    group = factories.group(people=[operator])
    start = factories.moment("2027-03-01T00:00:00")
    factories.task(
        operator,
        name="often",
        groups=[group],
        start_at=start,
        recurrence_type="interval",
        recurrence_config={"every": 10, "unit": "seconds"},
    )
    planned_in_2027(operator, name="daily", groups=[group])
    shown = ask(api, "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z").json()
    assert shown["capped"] is True
    assert len(shown["rows"]) == 10_000
    assert [row["task_name"] for row in shown["rows"]].count("daily") == 2
    assert shown["rows"][-1]["at"] == "2027-03-02T03:46:10Z"


def test_past_rows_are_capped_as_well(
    operator: User, task: ScheduledTask, in_2026: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar, "MOST_ROWS", 3)
    since = datetime(2026, 3, 1, tzinfo=UTC)
    for day in range(5):
        factories.execution(task, status="success", scheduled_for=since + timedelta(days=day))
    found = calendar.between(operator, since, since + timedelta(days=9), now=in_2026)
    assert [row.at.day for row in found.rows] == [1, 2, 3]
    assert found.is_capped


def test_of_very_many_tasks_the_earliest_rows_are_kept(
    operator: User, in_2026: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar, "MOST_ROWS", 3)
    group = factories.group(people=[operator])
    start = factories.moment("2027-03-01T00:00:00")
    for hour in (9, 4, 7, 3, 8, 5, 6, 2, 10, 11):
        factories.task(
            operator, groups=[group], start_at=start, recurrence_config={"time": f"{hour:02}:00"}
        )
    since = datetime(2027, 4, 1, tzinfo=UTC)
    found = calendar.between(operator, since, since + timedelta(days=2), now=in_2026)
    assert [row.at.hour for row in found.rows] == [2, 3, 4]
    assert found.is_capped


def test_a_task_whose_stored_rule_is_broken_hides_no_other(api: APIClient, operator: User) -> None:
    group = factories.group(people=[operator])
    broken = planned_in_2027(operator, groups=[group])
    ScheduledTask.objects.filter(pk=broken.pk).update(recurrence_config={"time": "never"})
    whole = planned_in_2027(operator, groups=[group])
    (row,) = rows(api, "2027-03-01T00:00:00Z", "2027-03-02T00:00:00Z")
    assert row["task_id"] == str(whole.pk)


def test_counting_what_max_runs_leaves_has_an_end(
    api: APIClient, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar, "MOST_DAYS_COUNTED", 300)
    group = factories.group(people=[operator])
    often = {"recurrence_type": "interval", "recurrence_config": {"every": 10, "unit": "seconds"}}
    planned_in_2027(operator, groups=[group], max_runs=1_000_000, **often)
    planned_in_2027(operator, groups=[group], max_runs=100)
    assert ask(api, "2028-01-01T00:00:00Z").status_code == 200
    planned_in_2027(operator, groups=[group], max_runs=1_000)
    answer = ask(api, "2028-03-01T00:00:00Z")
    assert (answer.status_code, list(answer.json())) == (400, ["from"])
