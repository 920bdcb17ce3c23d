"""What becomes of missed occurrences: tables with the clock as an argument, and no database."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduling import catching_up, planning
from scheduling.models import ScheduledTask
from scheduling.tests.factories import moment

BERLIN = "Europe/Berlin"
INSTANT = timedelta(microseconds=1)
GRACE = 300
POLICIES = ("skip", "run_latest", "run_all")
Written = list[str]


def task_of(given: dict[str, Any], planned_after: str, **changes: Any) -> ScheduledTask:
    """A task that was made, and planned, at this moment."""
    task = ScheduledTask(
        id=UUID(int=5),
        created_at=moment(planned_after),
        **{"misfire_grace_seconds": GRACE, **given, **changes},
    )
    planning.plan_after(task, moment(planned_after))
    return task


def catch_up(task: ScheduledTask, now: datetime) -> Written:
    """What is written down until nothing is due, as `opening` takes it step by step."""
    rows = []
    while task.next_scheduled_for and task.next_run_time and task.next_run_time <= now:
        missed = catching_up.missed(task, now)
        if missed is not None:
            rows.append(f"{missed.number} missed to {missed.latest:%d %H:%M}")
            planning.set_plan(task, missed.resume_at)
        else:
            rows.append(f"ran {task.next_scheduled_for:%d %H:%M}")
            planning.plan_after(task, task.next_scheduled_for)
    return rows


def _cron(expression: str, zone: str = "UTC") -> dict[str, Any]:
    config = {"cron_expression": expression}
    return {"recurrence_type": "custom", "recurrence_config": config, "time_zone": zone}


def _daily(time: str, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    config = {"time": time}
    return {"recurrence_type": "daily", "recurrence_config": config, "time_zone": zone, **more}


HOURLY = _cron("0 * * * *")
ONCE = {"recurrence_type": "once", "recurrence_config": {"run_at": "2027-06-10T10:00"}}
UNTIL_NOON = {**HOURLY, "end_at": moment("2027-06-10T12:00")}
HOLIDAYS = _daily("02:00", excluded_dates=["2027-06-11", "2027-06-12", "2027-06-14"])
PLANNED = "2027-06-10T09:30"

# rule, planned after, now, then what each policy has: skip, run_latest, run_all
TABLE: list[tuple[dict[str, Any], str, str, Written, Written, Written]] = [
    # Within the grace it runs late, whatever the policy; its last instant counts in.
    (HOURLY, PLANNED, "2027-06-10T10:00", ["ran 10 10:00"], ["ran 10 10:00"], ["ran 10 10:00"]),
    (HOURLY, PLANNED, "2027-06-10T10:05", ["ran 10 10:00"], ["ran 10 10:00"], ["ran 10 10:00"]),
    (HOURLY, PLANNED, "2027-06-10T10:05:00.000001",
     ["1 missed to 10 10:00"], ["ran 10 10:00"], ["ran 10 10:00"]),
    # The latest is within its grace: it runs, and is the one that run_latest means.
    (HOURLY, PLANNED, "2027-06-10T12:02",
     ["2 missed to 10 11:00", "ran 10 12:00"], ["2 missed to 10 11:00", "ran 10 12:00"],
     ["ran 10 10:00", "ran 10 11:00", "ran 10 12:00"]),
    (HOURLY, PLANNED, "2027-06-10T12:05",
     ["2 missed to 10 11:00", "ran 10 12:00"], ["2 missed to 10 11:00", "ran 10 12:00"],
     ["ran 10 10:00", "ran 10 11:00", "ran 10 12:00"]),
    (HOURLY, PLANNED, "2027-06-10T12:05:00.000001",
     ["3 missed to 10 12:00"], ["2 missed to 10 11:00", "ran 10 12:00"],
     ["ran 10 10:00", "ran 10 11:00", "ran 10 12:00"]),
    (HOURLY, PLANNED, "2027-06-10T12:59:59",
     ["3 missed to 10 12:00"], ["2 missed to 10 11:00", "ran 10 12:00"],
     ["ran 10 10:00", "ran 10 11:00", "ran 10 12:00"]),
    # Nothing is due.
    (HOURLY, PLANNED, "2027-06-10T09:59:59", [], [], []),
    # A rule that is over, or has one run alone.
    (UNTIL_NOON, PLANNED, "2027-06-10T20:00",
     ["3 missed to 10 12:00"], ["2 missed to 10 11:00", "ran 10 12:00"],
     ["ran 10 10:00", "ran 10 11:00", "ran 10 12:00"]),
    (ONCE, PLANNED, "2027-06-10T10:05", ["ran 10 10:00"], ["ran 10 10:00"], ["ran 10 10:00"]),
    (ONCE, PLANNED, "2027-06-12T00:00",
     ["1 missed to 10 10:00"], ["ran 10 10:00"], ["ran 10 10:00"]),
    # Nothing was due on an excluded date, so nothing was missed.
    (HOLIDAYS, "2027-06-09T12:00", "2027-06-15T12:00",
     ["3 missed to 15 02:00"], ["2 missed to 13 02:00", "ran 15 02:00"],
     ["ran 10 02:00", "ran 13 02:00", "ran 15 02:00"]),
    (HOLIDAYS, "2027-06-09T12:00", "2027-06-12T12:00",
     ["1 missed to 10 02:00"], ["ran 10 02:00"], ["ran 10 02:00"]),
    # 2027-03-28: 02:30 is jumped over and runs at 03:00, 01:00 UTC.
    (_daily("02:30", BERLIN), "2027-03-26T12:00", "2027-03-28T01:05",
     ["1 missed to 27 01:30", "ran 28 01:00"], ["1 missed to 27 01:30", "ran 28 01:00"],
     ["ran 27 01:30", "ran 28 01:00"]),
    (_daily("02:30", BERLIN), "2027-03-26T12:00", "2027-03-29T12:00",
     ["3 missed to 29 00:30"], ["2 missed to 28 01:00", "ran 29 00:30"],
     ["ran 27 01:30", "ran 28 01:00", "ran 29 00:30"]),
    # The hour from two to three of a fixed rule is that of three to four as well.
    (_cron("0 1,2,3 * * *", BERLIN), "2027-03-27T12:00", "2027-03-28T12:00",
     ["2 missed to 28 01:00"], ["1 missed to 28 00:00", "ran 28 01:00"],
     ["ran 28 00:00", "ran 28 01:00"]),
    # 2027-10-31: half past two comes twice; a fixed time runs once, a star each time.
    (_daily("02:30", BERLIN), "2027-10-30T12:00", "2027-10-31T12:00",
     ["1 missed to 31 00:30"], ["ran 31 00:30"], ["ran 31 00:30"]),
    (_daily("02:30", BERLIN), "2027-10-30T12:00", "2027-10-31T01:32",
     ["1 missed to 31 00:30"], ["ran 31 00:30"], ["ran 31 00:30"]),
    (_cron("*/30 2 * * *", BERLIN), "2027-10-30T12:00", "2027-10-31T12:00",
     ["4 missed to 31 01:30"], ["3 missed to 31 01:00", "ran 31 01:30"],
     ["ran 31 00:00", "ran 31 00:30", "ran 31 01:00", "ran 31 01:30"]),
]  # fmt: skip
CASES = [
    (given, planned, now, policy, expected)
    for given, planned, now, *by_policy in TABLE
    for policy, expected in zip(POLICIES, by_policy, strict=True)
]


@pytest.mark.parametrize(("given", "planned", "now", "policy", "expected"), CASES)
def test_each_policy_has_its_rows(
    given: dict[str, Any], planned: str, now: str, policy: str, expected: Written
) -> None:
    task = task_of(given, planned, misfire_policy=policy)
    assert catch_up(task, moment(now)) == expected


@pytest.mark.parametrize(("given", "planned", "now", "policy", "expected"), CASES)
def test_the_plan_goes_on_with_the_first_that_is_ahead(
    given: dict[str, Any], planned: str, now: str, policy: str, expected: Written
) -> None:
    task = task_of(given, planned, misfire_policy=policy)
    catch_up(task, moment(now))
    ahead = task.rule.next_after(moment(now))
    assert (task.next_scheduled_for, task.next_run_time) == (
        (ahead.at, ahead.due) if ahead else (None, None)
    )


@pytest.mark.parametrize(("grace", "ends"), [(0, 60), (1, 60), (300, 300), (3_599, 3_599)])
def test_the_grace_ends_where_the_task_says_and_after_a_minute_at_least(
    grace: int, ends: int
) -> None:
    task = task_of(HOURLY, PLANNED, misfire_policy="skip", misfire_grace_seconds=grace)
    end = moment("2027-06-10T10:00") + timedelta(seconds=ends)
    assert catching_up.missed(task, end) is None
    assert catching_up.missed(task, end + INSTANT) is not None


@pytest.mark.parametrize(
    ("number", "written_off"), [(1, 0), (99, 0), (100, 0), (101, 1), (250, 150), (10_000, 9_900)]
)
def test_of_all_that_was_missed_the_last_hundred_run(number: int, written_off: int) -> None:
    every = timedelta(minutes=2)
    task = task_of(
        _cron("*/2 * * * *"), "2027-06-01T00:00", misfire_policy="run_all", misfire_grace_seconds=0
    )
    first, latest = moment("2027-06-01T00:02"), moment("2027-06-01T00:00") + every * number
    rows = catch_up(task, latest + timedelta(seconds=90))
    ran = [f"ran {latest - every * ago:%d %H:%M}" for ago in range(min(number, 100))]
    missed_to = first + every * (written_off - 1)
    missed = [f"{written_off} missed to {missed_to:%d %H:%M}"] if written_off else []
    assert rows == missed + ran[::-1]


# A delay: what counts is when an occurrence was due, not its nominal time


def _delayed(policy: str, grace: int = GRACE) -> ScheduledTask:
    return task_of(
        HOURLY, PLANNED, misfire_policy=policy, misfire_grace_seconds=grace, jitter_seconds=3_599
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_a_delayed_one_has_its_grace_from_when_it_is_due(policy: str) -> None:
    task = _delayed(policy)
    assert task.next_run_time is not None
    assert task.next_run_time - moment("2027-06-10T10:00") > timedelta(seconds=GRACE)
    end = task.next_run_time + timedelta(seconds=GRACE)
    assert catch_up(task, end - timedelta(seconds=GRACE) - INSTANT) == []
    assert catch_up(task, end) == ["ran 10 10:00"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", ["1 missed to 10 10:00", "ran 10 11:00"]),
        ("run_latest", ["1 missed to 10 10:00", "ran 10 11:00"]),
        ("run_all", ["ran 10 10:00", "ran 10 11:00"]),
    ],
)
def test_a_delay_reaches_past_the_next_nominal_time(policy: str, expected: Written) -> None:
    """With no grace, at the very moment the second is due."""
    task = _delayed(policy, grace=0)
    _first, second = task.rule.next_runs(moment(PLANNED), 2)
    assert catch_up(task, second.due) == expected


def test_what_its_delay_holds_back_is_neither_missed_nor_run_yet() -> None:
    task = _delayed("skip", grace=0)
    _first, second = task.rule.next_runs(moment(PLANNED), 2)
    assert catch_up(task, second.due - INSTANT) == ["1 missed to 10 10:00"]
    assert (task.next_scheduled_for, task.next_run_time) == (second.at, second.due)


# In words


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (
            "2027-06-10T10:30",
            "1 run was missed, due at 2027-06-10T10:00:00+00:00: it was not opened in time.",
        ),
        (
            "2027-06-10T14:30",
            "5 runs were missed, due from 2027-06-10T10:00:00+00:00 to"
            " 2027-06-10T14:00:00+00:00: they were not opened in time.",
        ),
    ],
)
def test_the_row_says_how_many_and_from_when_to_when(now: str, sentence: str) -> None:
    missed = catching_up.missed(task_of(HOURLY, PLANNED, misfire_policy="skip"), moment(now))
    assert missed is not None
    assert missed.sentence() == sentence
