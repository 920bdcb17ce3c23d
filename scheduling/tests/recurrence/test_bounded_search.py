"""Every search is bounded: by the number of calls it takes, which is the same on every machine.

How long that takes is measured by `benchmarks/recurrence.py`.
"""

from __future__ import annotations

import sys
from calendar import isleap
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from scheduling.recurrence import Rule, cron, wall
from scheduling.tests.recurrence import given
from scheduling.tests.recurrence.given import daily, rule, utc

ZONE = "America/New_York"
START = utc("2027-01-01 12:00")
EVERY_SECOND_DAY = [str(date(2027, 1, 1) + timedelta(days=2 * number)) for number in range(366)]
LEAP_DAYS = [f"{year}-02-29" for year in range(2028, 3_500, 4) if isleap(year)]
LEAP_SUNDAYS = [
    f"{year}-02-29"
    for year in range(2028, 9_999, 4)
    if isleap(year) and date(year, 2, 29).isoweekday() == 7
]
TEN_SECONDS = {"every": 10, "unit": "seconds"}
SOME_TIME = {"time": "02:30"}

SLOW: dict[str, Callable[[], Rule]] = {
    "each day": lambda: daily("02:30", ZONE),
    "each minute of every second day": lambda: given.cron(
        "* * * * *", ZONE, excluded_dates=EVERY_SECOND_DAY
    ),
    "each ten seconds of every second day": lambda: rule(
        "interval", TEN_SECONDS, ZONE, excluded_dates=EVERY_SECOND_DAY
    ),
    "a leap day that is a Sunday": lambda: given.cron("0 0 29 2 */7", ZONE),
    "a fifth Monday of February": lambda: given.cron("59 23 * 2 1#5", ZONE),
    "no leap day that is a Sunday": lambda: given.cron(
        "0 0 29 2 */7", ZONE, excluded_dates=LEAP_SUNDAYS
    ),
    "a leap day of a far century": lambda: given.cron("0 0 29 2 *", ZONE, excluded_dates=LEAP_DAYS),
    "each tenth year": lambda: rule("daily", {**SOME_TIME, "every": 3_650}, ZONE),
    "a February 29 in each ninth year": lambda: rule(
        "monthly", {**SOME_TIME, "day_of_month": 29, "every": 108}, ZONE, anchor=utc("2028-02-02")
    ),
    "a February 30, which never comes": lambda: rule(
        "monthly", {**SOME_TIME, "day_of_month": 30, "every": 12}, ZONE, anchor=utc("2028-02-02")
    ),
}
slow = pytest.mark.parametrize("name", SLOW)


def _calls(work: Callable[[], Any]) -> int:
    """The functions called, with nothing remembered from earlier."""
    number = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    wall._change_on.cache_clear()
    cron.parse.cache_clear()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return number


@slow
def test_the_next_occurrence_takes_so_many_calls_at_most(name: str) -> None:
    assert _calls(lambda: SLOW[name]().next_after(START)) < 200_000


@slow
def test_a_hundred_take_so_many_calls_at_most(name: str) -> None:
    assert _calls(lambda: SLOW[name]().next_runs(START, 100)) < 300_000


@slow
def test_the_latest_takes_so_many_calls_at_most(name: str) -> None:
    assert _calls(lambda: SLOW[name]().latest_between(utc("0001-01-01"), START)) < 60_000


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (lambda: rule("interval", TEN_SECONDS, ZONE, start_at=START), 3_153_600),
        (lambda: given.cron("* * * * *", ZONE), 525_600),
    ],
)
def test_a_year_is_counted_without_a_walk_through_it(make: Callable[[], Rule], number: int) -> None:
    until = START + timedelta(days=365)
    assert make().count_between(START, until) == number
    assert _calls(lambda: make().count_between(START, until)) < 20_000


@pytest.mark.parametrize("length", [1_000, 100_000])
def test_long_input_is_refused_whatever_its_length(length: int) -> None:
    def refuse() -> None:
        with pytest.raises(ValueError, match="cron_expression"):
            given.cron("1," * length + "1 * * * *")

    assert _calls(refuse) < 1_000
