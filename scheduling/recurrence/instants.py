"""Instants as whole microseconds and wall times as whole seconds since 1970: neither overflows.

A rule's occurrences lie between FIRST and LAST, far enough from the ends of `datetime` that any
zone can show them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

DAY = 86_400
SECOND = 1_000_000
MILLISECOND = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The aware UTC moment; `at` lies between FIRST and LAST."""
    return _EPOCH + timedelta(microseconds=at)


def day_of(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH_ORDINAL


def date_of(day: int) -> date:
    return date.fromordinal(day + _EPOCH_ORDINAL)


FIRST_DAY = day_of(date(1, 1, 5))
LAST_DAY = day_of(date(9999, 12, 27))
FIRST = FIRST_DAY * DAY * SECOND
LAST = LAST_DAY * DAY * SECOND


def within_range(at: int) -> int:
    return min(max(at, FIRST), LAST)
