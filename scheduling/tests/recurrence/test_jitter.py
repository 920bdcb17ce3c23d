"""The delay that spreads tasks that fall due together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scheduling.recurrence.instants import SECOND
from scheduling.recurrence.rule import Jitter
from scheduling.tests.recurrence.given import BERLIN, cron, errors, rule, utc

EVERY_OTHER_DAY = [f"2027-03-{day:02}" for day in range(2, 32, 2)]


def _delays(key: str, seconds: int = 600) -> list[timedelta]:
    given = cron("0 * * * *", jitter_seconds=seconds, jitter_key=key)
    return [one.due - one.at for one in given.next_runs(utc("2027-01-01"), 50)]


def test_the_delay_is_within_the_jitter_and_varies() -> None:
    delays = _delays("a")
    assert all(timedelta(0) <= delay < timedelta(seconds=600) for delay in delays)
    assert len(set(delays)) > 40
    assert max(delays) > timedelta(seconds=300) > min(delays)


def test_the_delay_is_any_millisecond_below_the_jitter() -> None:
    given = Jitter(1, "key")
    delays = {given.delay(at * SECOND) for at in range(20_000)}
    assert delays == {timedelta(milliseconds=number) for number in range(1_000)}


def test_the_delay_of_an_occurrence_never_changes() -> None:
    assert _delays("a") == _delays("a")


def test_two_tasks_have_delays_of_their_own() -> None:
    assert _delays("a") != _delays("b")


def test_the_delay_does_not_reach_into_an_excluded_date() -> None:
    given = rule(
        "daily", {"time": "23:50"}, BERLIN, jitter_seconds=3_600, excluded_dates=EVERY_OTHER_DAY
    )
    runs = given.next_runs(utc("2027-03-01"), 15)
    assert {one.due.astimezone(given.zone).date() for one in runs} == {
        one.local.date() for one in runs
    }
    delays = {one.due - one.at for one in runs}
    assert len(delays) == 15
    assert max(delays) > timedelta(minutes=5) > min(delays)


def test_without_jitter_it_is_due_at_once() -> None:
    assert set(_delays("a", seconds=0)) == {timedelta(0)}


# type, config, zone, the shortest gap in seconds
GAPS: list[tuple[str, dict[str, Any], str, int]] = [
    ("interval", {"every": 10, "unit": "minutes"}, "UTC", 600),
    ("custom", {"cron_expression": "*/15 * * * *"}, "UTC", 900),
    ("custom", {"cron_expression": "0,50 * * * *"}, "UTC", 600),
    ("custom", {"cron_expression": "0 0,23 * * *"}, "UTC", 3_600),
    ("custom", {"cron_expression": "0 0 1,31 * *"}, "UTC", 86_400),
    ("daily", {"time": "12:00"}, "UTC", 86_400),
    # The day on which the clocks jump has 23 hours.
    ("daily", {"time": "12:00"}, BERLIN, 82_800),
    # 02:30 runs at 03:00 that day, a quarter of an hour before 03:15.
    ("custom", {"cron_expression": "30 2,12 * * *"}, BERLIN, 34_200),
    ("custom", {"cron_expression": "15,45 2,3 * * *"}, BERLIN, 900),
    ("weekly", {"time": "12:00", "days_of_week": [0, 2]}, "UTC", 172_800),
    ("weekly", {"time": "12:00", "days_of_week": [0], "every": 2}, "UTC", 604_801),
    ("monthly", {"time": "12:00", "day_of_month": -1}, "UTC", 604_801),
]


@pytest.mark.parametrize(("recurrence_type", "config", "zone", "gap"), GAPS)
def test_jitter_is_less_than_the_shortest_gap(
    recurrence_type: str, config: dict[str, Any], zone: str, gap: int
) -> None:
    assert errors(recurrence_type, config, zone, jitter_seconds=gap - 1) == {}
    assert list(errors(recurrence_type, config, zone, jitter_seconds=gap)) == ["jitter_seconds"]


def test_one_run_may_wait_for_any_time() -> None:
    assert (
        rule("once", {"run_at": "2027-01-31T02:00"}, jitter_seconds=86_400).jitter.seconds == 86_400
    )


@pytest.mark.parametrize("wrong", [-1, True, "5", 1.5, None, 10**30, 604_801, []])
def test_jitter_is_a_whole_number_of_at_most_a_week(wrong: object) -> None:
    found = errors("once", {"run_at": None}, jitter_seconds=wrong)
    assert found == {"jitter_seconds": ["must be a whole number from 0 to 604800."]}
