from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from scheduling.sheets import Sheet, View
from scheduling.tests import factories

NOW = factories.moment("2026-03-29T12:00")


def sheet(view: str, at: str, zone: str = "Europe/Berlin") -> Sheet:
    moment = datetime.fromisoformat(at)
    place = ZoneInfo(zone)
    moment = moment.astimezone(place) if moment.tzinfo else moment.replace(tzinfo=place)
    return Sheet(View(view), moment, NOW)


def test_a_month_is_whole_weeks_from_monday_to_sunday() -> None:
    spans = sheet("month", "2026-03-15").spans
    first, last = spans[0][0], spans[-1][1]
    assert len(spans) == 42
    assert first == datetime(2026, 2, 22, 23, tzinfo=UTC)
    assert last == datetime(2026, 4, 5, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2026-06-01", "Europe/Berlin", 24),
        ("2026-10-04", "Australia/Lord_Howe", 24),
        ("2026-04-05", "Australia/Lord_Howe", 25),
        ("2011-12-30", "Pacific/Apia", 0),
        # Midnight itself is jumped over.
        ("2023-04-28", "Africa/Cairo", 23),
    ],
)
def test_a_day_has_the_hours_its_clock_has(day: str, zone: str, hours: int) -> None:
    assert len(sheet("day", day, zone).spans) == hours


@pytest.mark.parametrize("view", View.values)
def test_spans_follow_each_other_without_a_gap(view: str) -> None:
    spans = sheet(view, "2026-10-25").spans
    assert all(one[1] == other[0] for one, other in pairwise(spans))


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first = sheet("hour", "2026-10-25T00:30+00:00")
    second = first.later
    assert (first.title, second.title) == ("Sunday, 25 October 2026, 02:00",) * 2
    assert (first.at.fold, second.at.fold) == (0, 1)
    assert first.spans[-1][1] == second.spans[0][0]


def test_earlier_and_later_turn_one_leaf() -> None:
    assert sheet("month", "2026-01-31").later.title == "February 2026"
    assert sheet("month", "2026-01-31").earlier.title == "December 2025"
    assert sheet("week", "2026-03-25").later.title == "30 Mar – 5 Apr 2026"
    assert sheet("day", "2026-03-29").later.title == "Monday, 30 March 2026"


def test_only_a_day_with_two_offsets_names_them() -> None:
    assert sheet("day", "2026-03-29").changes_clocks
    assert not sheet("day", "2026-03-30").changes_clocks
