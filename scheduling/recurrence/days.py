"""On which days a rule runs. Days are counted from 1970-01-01."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Callable
from datetime import date
from typing import Protocol

from scheduling.recurrence.instants import FIRST_DAY, LAST_DAY, date_of, day_of

# After 400 years the calendar repeats itself, weekdays included.
_CYCLE_MONTHS = 4_800
Pick = Callable[[int, int], tuple[int, ...]]


class Days(Protocol):
    def next(self, day: int) -> int | None:
        """The first of the days from this one on."""
        ...

    def previous(self, day: int) -> int | None:
        """The last of the days up to this one."""
        ...


class OneDay:
    def __init__(self, day: int) -> None:
        self._day = day

    def next(self, day: int) -> int | None:
        return self._day if day <= self._day else None

    def previous(self, day: int) -> int | None:
        return self._day if day >= self._day else None


class Period:
    """Days (or months) that repeat every `length`: `base` + each of the ascending `offsets`."""

    def __init__(self, base: int, length: int, offsets: tuple[int, ...]) -> None:
        self._base, self._length, self._offsets = base, length, offsets

    def next(self, day: int) -> int | None:
        round_, rest = divmod(day - self._base, self._length)
        place = bisect_left(self._offsets, rest)
        if place == len(self._offsets):
            round_, place = round_ + 1, 0
        return self._day(round_, place)

    def previous(self, day: int) -> int | None:
        round_, rest = divmod(day - self._base, self._length)
        place = bisect_right(self._offsets, rest) - 1
        if place < 0:
            round_, place = round_ - 1, len(self._offsets) - 1
        return self._day(round_, place)

    def _day(self, round_: int, place: int) -> int | None:
        day = self._base + round_ * self._length + self._offsets[place]
        return day if FIRST_DAY <= day <= LAST_DAY else None


class Months:
    """The days that `pick(year, month)` takes of these months, which are counted from year 0.

    What `pick` answers depends only on the month's length and the weekday of its first.
    """

    def __init__(self, months: Period, pick: Pick) -> None:
        self._months, self._pick = months, pick
        self._picked: dict[tuple[int, int], tuple[int, ...]] = {}

    def next(self, day: int) -> int | None:
        start = date_of(day)
        first = month_number(start)
        number = self._months.next(first)
        while number is not None and number < min(first + _CYCLE_MONTHS + 1, _LAST_MONTH):
            days = self._days(number)
            place = bisect_left(days, start.day) if number == first else 0
            if place < len(days):
                return _day(number, days[place])
            number = self._months.next(number + 1)
        return None

    def previous(self, day: int) -> int | None:
        start = date_of(day)
        first = month_number(start)
        number = self._months.previous(first)
        while number is not None and number > max(first - _CYCLE_MONTHS - 1, _FIRST_MONTH):
            days = self._days(number)
            place = bisect_right(days, start.day) if number == first else len(days)
            if place:
                return _day(number, days[place - 1])
            number = self._months.previous(number - 1)
        return None

    def _days(self, number: int) -> tuple[int, ...]:
        year, month = divmod(number, 12)
        shape = monthrange(year, month + 1)
        if shape not in self._picked:
            self._picked[shape] = self._pick(year, month + 1)
        return self._picked[shape]


def month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _day(number: int, day: int) -> int:
    return day_of(date(number // 12, number % 12 + 1, day))


_FIRST_MONTH = month_number(date(1, 1, 1))
_LAST_MONTH = month_number(date(9999, 12, 1))


def day_of_month(day: int, missing: str) -> Pick:
    """This day (-1: the last); in a shorter month none, or its last where `missing` is "last"."""

    def pick(year: int, month: int) -> tuple[int, ...]:
        length = monthrange(year, month)[1]
        if day == -1 or (day > length and missing == "last"):
            return (length,)
        return (day,) if day <= length else ()

    return pick


def nth_weekday(nth: int, weekday: int) -> Pick:
    """The nth (1 to 4, -1: the last) weekday (0: Monday) of the month."""

    def pick(year: int, month: int) -> tuple[int, ...]:
        first_weekday, length = monthrange(year, month)
        all_of_them = range(1 + (weekday - first_weekday) % 7, length + 1, 7)
        return (all_of_them[nth - 1 if nth > 0 else nth],)

    return pick
