"""Each type of recurrence on days when no clock is changed."""

from __future__ import annotations

from typing import Any

import pytest

from scheduling.tests.recurrence.given import BERLIN, daily, local_runs, rule, runs, utc

CASES = [
    ("daily", {"time": "02:00"}, ["01-01", "01-02", "01-03"]),
    ("daily", {"time": "02:00", "every": 3}, ["01-01", "01-04", "01-07"]),
    ("weekly", {"time": "02:00", "days_of_week": [0, 4]}, ["01-01", "01-04", "01-08"]),
    ("weekly", {"time": "02:00", "days_of_week": [0, 4], "every": 2}, ["01-01", "01-11", "01-15"]),
    ("weekly", {"time": "02:00", "days_of_week": [6]}, ["01-03", "01-10", "01-17"]),
    ("monthly", {"time": "02:00", "day_of_month": 15}, ["01-15", "02-15", "03-15"]),
    ("monthly", {"time": "02:00", "day_of_month": 31}, ["01-31", "03-31", "05-31"]),
    (
        "monthly",
        {"time": "02:00", "day_of_month": 31, "missing_day": "last"},
        ["01-31", "02-28", "03-31"],
    ),
    ("monthly", {"time": "02:00", "day_of_month": -1}, ["01-31", "02-28", "03-31"]),
    ("monthly", {"time": "02:00", "day_of_month": 5, "every": 3}, ["01-05", "04-05", "07-05"]),
    ("monthly", {"time": "02:00", "nth": 1, "weekday": 4}, ["01-01", "02-05", "03-05"]),
    ("monthly", {"time": "02:00", "nth": 2, "weekday": 1}, ["01-12", "02-09", "03-09"]),
    ("monthly", {"time": "02:00", "nth": 4, "weekday": 6}, ["01-24", "02-28", "03-28"]),
    ("monthly", {"time": "02:00", "nth": -1, "weekday": 4}, ["01-29", "02-26", "03-26"]),
    (
        "monthly",
        {"time": "02:00", "nth": -1, "weekday": 0, "every": 12},
        ["01-25", "01-31", "01-29"],
    ),
    ("once", {"run_at": "2027-01-31T02:00"}, ["01-31"]),
]


@pytest.mark.parametrize(("recurrence_type", "config", "days"), CASES)
def test_it_runs_on_these_days(
    recurrence_type: str, config: dict[str, Any], days: list[str]
) -> None:
    found = runs(rule(recurrence_type, config), "2026-12-31 23:00", 3)
    assert [one[5:] for one in found] == [f"{day} 02:00" for day in days]


def test_day_29_comes_in_leap_years() -> None:
    given = rule(
        "monthly", {"time": "02:00", "day_of_month": 29, "every": 12}, anchor=utc("2027-02-03")
    )
    assert runs(given, "2027-01-01", 2) == ["2028-02-29 02:00", "2032-02-29 02:00"]
    assert runs(given, "2096-03-01", 1) == ["2104-02-29 02:00"]


def test_days_are_counted_from_the_anchor_in_the_zone() -> None:
    # In Berlin the second of January has begun.
    given = rule("daily", {"time": "12:00", "every": 5}, BERLIN, anchor=utc("2027-01-01 23:30"))
    assert local_runs(given, "2027-01-01", 2) == ["2027-01-02 12:00", "2027-01-07 12:00"]


def test_weeks_are_counted_from_the_monday_of_the_anchor() -> None:
    config = {"time": "12:00", "days_of_week": [0, 6], "every": 2}
    given = rule("weekly", config, anchor=utc("2027-01-03 18:00"))  # a Sunday
    assert runs(given, "2027-01-03 18:00", 2) == ["2027-01-11 12:00", "2027-01-17 12:00"]


def test_months_are_counted_from_the_month_of_the_anchor() -> None:
    config = {"time": "12:00", "day_of_month": 1, "every": 5}
    given = rule("monthly", config, anchor=utc("2027-11-20"))
    assert runs(given, "2027-11-20", 2) == ["2028-04-01 12:00", "2028-09-01 12:00"]


def test_an_interval_waits_for_one_interval_after_the_creation() -> None:
    given = rule("interval", {"every": 15, "unit": "minutes"}, anchor=utc("2027-01-01 10:07:08"))
    assert runs(given, "2020-01-01", 2) == ["2027-01-01 10:22", "2027-01-01 10:37"]
    assert given.next_runs(utc("2020-01-01"), 1)[0].at.second == 8


def test_an_interval_runs_at_its_start() -> None:
    start = utc("2027-01-01 10:07")
    given = rule("interval", {"every": 2, "unit": "weeks"}, anchor=start, start_at=start)
    assert runs(given, "2020-01-01", 2) == ["2027-01-01 10:07", "2027-01-15 10:07"]


@pytest.mark.parametrize(
    ("every", "unit", "seconds"),
    [(10, "seconds", 10), (3, "minutes", 180), (2, "hours", 7_200), (1, "weeks", 604_800)],
)
def test_an_interval_knows_its_seconds(every: int, unit: str, seconds: int) -> None:
    assert rule("interval", {"every": every, "unit": unit}).interval_seconds() == seconds


def test_other_types_are_no_interval() -> None:
    assert daily("02:00").interval_seconds() is None


def test_once_with_an_offset_means_that_instant() -> None:
    given = rule("once", {"run_at": "2027-01-31T02:00:00+02:00"}, BERLIN)
    assert runs(given, "2027-01-01", 2) == ["2027-01-31 00:00"]


def test_by_hand_only_has_no_runs() -> None:
    given = rule("once", {"run_at": None})
    assert given.next_runs(utc("2027-01-01"), 3) == []
    assert given.count_between(utc("2027-01-01"), utc("2028-01-01")) == 0
    assert given.latest_between(utc("2027-01-01"), utc("2028-01-01")) is None


def test_an_occurrence_shows_the_local_time() -> None:
    (occurrence,) = daily("02:00", BERLIN).next_runs(utc("2027-06-01"), 1)
    assert occurrence.at.isoformat() == "2027-06-02T00:00:00+00:00"
    assert occurrence.local.isoformat() == "2027-06-02T02:00:00+02:00"
    assert occurrence.due == occurrence.at


def test_after_is_exclusive_to_the_microsecond() -> None:
    given = daily("02:00")
    assert runs(given, "2027-01-01 02:00:00", 1) == ["2027-01-02 02:00"]
    assert runs(given, "2027-01-01 01:59:59.999999", 1) == ["2027-01-01 02:00"]
    assert given.count_between(utc("2027-01-01 02:00"), utc("2027-01-02 02:00")) == 1


CONFIGS = [
    ("daily", {"time": "02:00:00"}, {"time": "02:00", "every": 1}),
    ("daily", {"time": "02:00:07"}, {"time": "02:00:07", "every": 1}),
    (
        "weekly",
        {"time": "02:00", "days_of_week": [4, 0, 4]},
        {"time": "02:00", "days_of_week": [0, 4], "every": 1},
    ),
    (
        "monthly",
        {"time": "02:00", "day_of_month": 3},
        {"time": "02:00", "day_of_month": 3, "missing_day": "skip", "every": 1},
    ),
    (
        "monthly",
        {"time": "02:00", "nth": 2, "weekday": 1, "missing_day": "skip"},
        {"time": "02:00", "nth": 2, "weekday": 1, "every": 1},
    ),
    ("once", {"run_at": "2027-01-31 02:00:00.000Z"}, {"run_at": "2027-01-31T02:00+00:00"}),
    ("once", {"run_at": "2027-01-31T02:00:07.654321"}, {"run_at": "2027-01-31T02:00:07"}),
    ("custom", {"cron_expression": " 0  2 * * MON "}, {"cron_expression": "0 2 * * MON"}),
    ("custom", {"cron_expression": "@Daily"}, {"cron_expression": "@daily"}),
]


@pytest.mark.parametrize(("recurrence_type", "config", "stored"), CONFIGS)
def test_the_config_is_stored_in_one_form(
    recurrence_type: str, config: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert rule(recurrence_type, config).config == stored
    assert rule(recurrence_type, stored).config == stored
