"""Every search is bounded: by the processor's time, as others may be at work on the machine."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable
from datetime import date, timedelta
from time import process_time
from typing import Any

import pytest

from scheduling.recurrence import Rule
from scheduling.tests.recurrence.given import cron, daily, rule, utc

ZONE = "America/New_York"
EXCLUDED = [str(date(2027, 1, 1) + timedelta(days=2 * number)) for number in range(366)]
START = utc("2027-01-01 12:00")
LEAP_DAYS = [f"{year}-02-29" for year in range(2028, 3_500, 4) if isleap(year)]
LEAP_SUNDAYS = [
    f"{year}-02-29"
    for year in range(2028, 9_999, 4)
    if isleap(year) and date(year, 2, 29).isoweekday() == 7
]
FEBRUARY = utc("2028-02-01")
TEN_SECONDS = {"every": 10, "unit": "seconds"}

SLOW: list[Callable[[], Rule]] = [
    lambda: daily("02:30", ZONE),
    lambda: cron("* * * * *", ZONE, excluded_dates=EXCLUDED),
    lambda: rule("interval", TEN_SECONDS, ZONE, excluded_dates=EXCLUDED),
    lambda: cron("0 0 29 2 */7", ZONE),
    lambda: cron("59 23 * 2 1#5", ZONE),
    lambda: cron("0 0 29 2 */7", ZONE, excluded_dates=LEAP_SUNDAYS),
    lambda: cron(
        "0 0 29 2 *",
        ZONE,
        excluded_dates=LEAP_DAYS,
    ),
    lambda: rule("daily", {"time": "02:30", "every": 3_650}, ZONE),
    lambda: rule(
        "monthly",
        {"time": "02:30", "day_of_month": 29, "every": 108},
        ZONE,
        anchor=utc("2028-02-01"),
    ),
    lambda: rule(
        "monthly",
        {"time": "02:30", "day_of_month": 30, "every": 12},
        ZONE,
        anchor=utc("2028-02-01"),
    ),
]


def _milliseconds(work: Callable[[], Any]) -> float:
    """The best of three, as the first may have to load a zone."""
    taken = []
    for _ in range(3):
        start = process_time()
        work()
        taken.append((process_time() - start) * 1_000)
    return min(taken)


@pytest.mark.parametrize("make", SLOW)
def test_the_next_occurrence_takes_less_than_50_ms(make: Callable[[], Rule]) -> None:
    assert _milliseconds(lambda: make().next_after(START)) < 50


@pytest.mark.parametrize("make", SLOW)
def test_a_hundred_take_less_than_300_ms(make: Callable[[], Rule]) -> None:
    assert _milliseconds(lambda: make().next_runs(START, 100)) < 300


@pytest.mark.parametrize("make", SLOW)
def test_the_latest_takes_less_than_50_ms(make: Callable[[], Rule]) -> None:
    assert _milliseconds(lambda: make().latest_between(utc("0001-01-01"), START)) < 50


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (lambda: rule("interval", TEN_SECONDS, ZONE, start_at=START), 3_153_600),
        (lambda: cron("* * * * *", ZONE), 525_600),
    ],
)
def test_a_year_is_counted_in_less_than_50_ms(make: Callable[[], Rule], number: int) -> None:
    until = START + timedelta(days=365)
    assert make().count_between(START, until) == number
    assert _milliseconds(lambda: make().count_between(START, until)) < 50


@pytest.mark.parametrize("length", [1_000, 100_000])
def test_long_input_is_refused_at_once(length: int) -> None:
    def refuse() -> None:
        with pytest.raises(ValueError, match="cron_expression"):
            cron("1," * length + "1 * * * *")

    assert _milliseconds(refuse) < 50
