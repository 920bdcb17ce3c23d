"""What rules do when a zone's clock jumps or is turned back. Dates are written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduling.recurrence import Rule
from scheduling.tests.recurrence.given import (
    BERLIN,
    cron,
    daily,
    enumerated,
    local_runs,
    rule,
    runs,
    utc,
)

NEW_YORK, LORD_HOWE = "America/New_York", "Australia/Lord_Howe"

# zone, wall time, a day before the change, the runs of that day and the two after it in UTC
AHEAD = [
    (BERLIN, "02:30", "2027-03-27 00:00", ["03-27 01:30", "03-28 01:00", "03-29 00:30"]),
    (BERLIN, "02:00", "2027-03-27 00:00", ["03-27 01:00", "03-28 01:00", "03-29 00:00"]),
    (BERLIN, "03:00", "2027-03-27 00:00", ["03-27 02:00", "03-28 01:00", "03-29 01:00"]),
    (BERLIN, "01:59", "2027-03-27 00:00", ["03-27 00:59", "03-28 00:59", "03-28 23:59"]),
    (NEW_YORK, "02:30", "2027-03-13 00:00", ["03-13 07:30", "03-14 07:00", "03-15 06:30"]),
    (LORD_HOWE, "02:15", "2027-10-01 00:00", ["10-01 15:45", "10-02 15:30", "10-03 15:15"]),
    ("Pacific/Apia", "12:00", "2011-12-29 00:00", ["12-29 22:00", "12-30 10:00", "12-30 22:00"]),
    ("America/Havana", "00:30", "2025-03-07 12:00", ["03-08 05:30", "03-09 05:00", "03-10 04:30"]),
    ("UTC", "02:30", "2027-03-27 00:00", ["03-27 02:30", "03-28 02:30", "03-29 02:30"]),
]
BACK = [
    (BERLIN, "02:30", "2027-10-30 00:00", ["10-30 00:30", "10-31 00:30", "11-01 01:30"]),
    (BERLIN, "02:00", "2027-10-30 00:00", ["10-31 00:00", "11-01 01:00", "11-02 01:00"]),
    (BERLIN, "03:00", "2027-10-30 00:00", ["10-30 01:00", "10-31 02:00", "11-01 02:00"]),
    (NEW_YORK, "01:30", "2027-11-06 00:00", ["11-06 05:30", "11-07 05:30", "11-08 06:30"]),
    (LORD_HOWE, "01:45", "2027-04-02 12:00", ["04-02 14:45", "04-03 14:45", "04-04 15:15"]),
    # The clocks go from 00:01 back to 23:01 of the day before.
    (
        "America/St_Johns",
        "23:30",
        "1990-10-27 00:00",
        ["10-27 02:00", "10-28 02:00", "10-29 03:00"],
    ),
    (
        "America/St_Johns",
        "00:00",
        "1990-10-27 00:00",
        ["10-27 02:30", "10-28 02:30", "10-29 03:30"],
    ),
]


@pytest.mark.parametrize(("zone", "time", "after", "expected"), AHEAD)
def test_a_time_that_is_jumped_over_runs_at_the_jump(
    zone: str, time: str, after: str, expected: list[str]
) -> None:
    assert [one[5:] for one in runs(daily(time, zone), after, 3)] == expected


@pytest.mark.parametrize(("zone", "time", "after", "expected"), BACK)
def test_a_time_that_comes_twice_runs_the_first_time(
    zone: str, time: str, after: str, expected: list[str]
) -> None:
    assert [one[5:] for one in runs(daily(time, zone), after, 3)] == expected


def test_a_jump_over_several_times_runs_once() -> None:
    given = cron("0,20,40 2,3 28 3 *", BERLIN)
    assert runs(given, "2027-03-28 00:00", 3) == [
        "2027-03-28 01:00",
        "2027-03-28 01:20",
        "2027-03-28 01:40",
    ]


def test_between_the_two_passes_nothing_that_ran_comes_again() -> None:
    given = daily("02:30", BERLIN)
    assert runs(given, "2027-10-31 00:59", 1) == ["2027-11-01 01:30"]
    assert runs(given, "2027-10-31 01:10", 1) == ["2027-11-01 01:30"]
    latest = given.latest_between(utc("2027-10-01"), utc("2027-10-31 01:40"))
    assert latest is not None
    assert latest.at == utc("2027-10-31 00:30")


def test_a_star_follows_elapsed_time_over_the_jump() -> None:
    given = cron("*/30 * * * *", BERLIN)
    assert local_runs(given, "2027-03-28 00:29", 4) == [
        "2027-03-28 01:30",
        "2027-03-28 03:00",
        "2027-03-28 03:30",
        "2027-03-28 04:00",
    ]


def test_a_star_follows_elapsed_time_through_both_passes() -> None:
    given = cron("*/30 2 * * *", BERLIN)
    assert runs(given, "2027-10-30 23:59", 5) == [
        "2027-10-31 00:00",
        "2027-10-31 00:30",
        "2027-10-31 01:00",
        "2027-10-31 01:30",
        "2027-11-01 01:00",
    ]


def test_a_field_that_does_not_begin_with_its_star_is_of_fixed_times() -> None:
    assert runs(cron("0,*/20 2 * * *", BERLIN), "2027-10-30 12:00", 4) == [
        "2027-10-31 00:00",
        "2027-10-31 00:20",
        "2027-10-31 00:40",
        "2027-11-01 01:00",
    ]


def test_a_star_in_an_hour_that_is_jumped_over_does_not_run() -> None:
    assert runs(cron("*/30 2 * * *", BERLIN), "2027-03-27 12:00", 1) == ["2027-03-29 00:00"]


def test_a_star_keeps_its_order_where_midnight_comes_twice() -> None:
    given = cron("*/30 * * * *", "America/St_Johns")
    found = enumerated(given, utc("1990-10-28 01:00"), utc("1990-10-28 05:00"))
    minutes = [f"{at:%H:%M}" for at in found]
    assert minutes == ["01:30", "02:00", "02:30", "03:00", "03:30", "04:00", "04:30", "05:00"]


def test_an_interval_is_elapsed_time() -> None:
    given = rule("interval", {"every": 1, "unit": "days"}, BERLIN, start_at=utc("2027-03-26 01:00"))
    assert local_runs(given, "2027-03-26 12:00", 3) == [
        "2027-03-27 02:00",
        "2027-03-28 03:00",
        "2027-03-29 03:00",
    ]


def test_once_in_the_jump_runs_at_the_jump() -> None:
    given = rule("once", {"run_at": "2027-03-28T02:30"}, BERLIN)
    assert runs(given, "2027-01-01 00:00", 2) == ["2027-03-28 01:00"]


def test_a_skipped_day_has_its_run_when_the_next_begins() -> None:
    given = cron("0 0,12 * * *", "Pacific/Apia")
    assert local_runs(given, "2011-12-29 20:00", 3) == [
        "2011-12-29 12:00",
        "2011-12-31 00:00",
        "2011-12-31 12:00",
    ]


NOTES = [
    (daily("02:30", BERLIN), "2027-03-27 12:00", "The clocks jump over 02:30: it runs at 03:00."),
    (
        daily("02:30", BERLIN),
        "2027-10-30 12:00",
        "The clocks are turned back: 02:30 comes twice, and it runs the first time.",
    ),
    (
        cron("*/30 2 * * *", BERLIN),
        "2027-10-31 00:40",
        "The clocks are turned back: 02:00 comes twice, and it runs both times.",
    ),
    (
        cron("*/30 * * * *", BERLIN),
        "2027-03-28 00:40",
        "The clocks jump from 02:00 to 03:00: what would run in between is left out.",
    ),
    (daily("03:00", BERLIN), "2027-03-27 12:00", None),
    (daily("03:00", BERLIN), "2027-10-30 12:00", None),
    (daily("02:30", BERLIN), "2027-06-01 12:00", None),
    (daily("02:30"), "2027-03-27 12:00", None),
]


@pytest.mark.parametrize(("given", "after", "note"), NOTES)
def test_a_note_says_what_daylight_saving_does(given: Rule, after: str, note: str | None) -> None:
    occurrence = given.next_after(utc(after))
    assert occurrence is not None
    assert occurrence.note == note


CHANGES = [
    (BERLIN, "2027-03-28 01:00"),
    (BERLIN, "2027-10-31 01:00"),
    (NEW_YORK, "2027-03-14 07:00"),
    (NEW_YORK, "2027-11-07 06:00"),
    (LORD_HOWE, "2027-04-03 15:00"),
    (LORD_HOWE, "2027-10-02 15:30"),
    ("Pacific/Apia", "2011-12-30 10:00"),
    ("America/Havana", "2025-03-09 05:00"),
    ("America/St_Johns", "1990-10-28 02:31"),
    ("Pacific/Kwajalein", "1993-08-21 12:00"),
]
EXPRESSIONS = ["30 2 * * *", "0,15 0,1,2,3 * * *", "*/20 * * * *", "*/7 1-3 * * *", "59 23 * * *"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_around_a_change_the_rule_does_what_a_walk_by_the_minute_does(
    zone: str, change: str, expression: str
) -> None:
    start, end = utc(change) - timedelta(hours=50), utc(change) + timedelta(hours=50)
    expected = _walk(expression, zone, start, end)
    assert enumerated(cron(expression, zone), start, end) == expected


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_backwards_and_counting_agree_with_forwards(
    zone: str, change: str, expression: str
) -> None:
    given = cron(expression, zone)
    start, end = utc(change) - timedelta(hours=50), utc(change) + timedelta(hours=50)
    forwards, backwards = enumerated(given, start, end), []
    until = end
    while (latest := given.latest_between(start, until)) is not None:
        backwards.append(latest.at)
        until = latest.at - timedelta(microseconds=1)
    assert backwards[::-1] == forwards
    assert given.count_between(start, end) == len(forwards)
    middle = utc(change) + timedelta(minutes=13)
    assert given.count_between(middle, end) == sum(at > middle for at in forwards)


def _walk(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """The slow way: look at the clock each minute, and at what it has not shown before."""
    minute, hour = (_numbers(field) for field in expression.split()[:2])
    as_shown = "*" in "".join(expression.split()[:2])
    at, found = start - timedelta(days=2), []
    latest = _wall(at, zone)
    while at < end:
        at += timedelta(minutes=1)
        wall = _wall(at, zone)
        new = [wall] if as_shown else _minutes(latest, wall)
        latest = max(latest, wall)
        if at > start and any(one.minute in minute and one.hour in hour for one in new):
            found.append(at)
    return found


def _wall(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)


def _minutes(after: datetime, until: datetime) -> list[datetime]:
    number = max(0, int((until - after) / timedelta(minutes=1)))
    return [after + timedelta(minutes=step + 1) for step in range(number)]


def _numbers(field: str) -> set[int]:
    if field.startswith("*"):
        return set(range(0, 60, int(field.partition("/")[2] or 1)))
    if "-" in field:
        first, last = field.split("-")
        return set(range(int(first), int(last) + 1))
    return set(map(int, field.split(",")))
