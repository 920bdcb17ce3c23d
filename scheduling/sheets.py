"""Leaves of a calendar: which spans of time a month, a week, a day or an hour of a zone has.

Days are those of the zone's wall clock: one on which it is changed has 23 or 25 hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.db.models import TextChoices
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

T = TypeVar("T")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Span = tuple[datetime, datetime]


class View(TextChoices):
    MONTH = "month", _("Month")
    WEEK = "week", _("Week")
    DAY = "day", _("Day")
    HOUR = "hour", _("Hour")


# How many rows a cell shows before it says how many more there are.
MOST = {View.MONTH: 3, View.WEEK: 10, View.DAY: 8, View.HOUR: 8}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What shows around `at`, an instant in the zone; `now` is the present."""

    view: View
    at: datetime
    now: datetime

    @property
    def zone(self) -> ZoneInfo:
        assert isinstance(self.at.tzinfo, ZoneInfo)
        return self.at.tzinfo

    @property
    def day(self) -> date:
        return self.at.date()

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    @property
    def most(self) -> int:
        return MOST[self.view]

    @property
    def is_grid(self) -> bool:
        """Whether its cells are days, a week in a row; else each cell is a row."""
        return self.view in (View.MONTH, View.WEEK)

    @property
    def spans(self) -> list[Span]:
        """Ascending, each beginning where the one before ends."""
        if self.is_grid:
            days = [self._first + timedelta(days=number) for number in range(7 * self._weeks)]
            return list(pairwise(starts_of(day, self.zone) for day in [*days, _after(days[-1])]))
        if self.view == View.HOUR:
            hour = self.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            return _steps(hour, hour + HOUR, MINUTE)
        return _steps(starts_of(self.day, self.zone), starts_of(_after(self.day), self.zone), HOUR)

    def rows(self, cells: Sequence[T]) -> list[Sequence[T]]:
        """The cells as they stand on the page."""
        width = 7 if self.is_grid else 1
        return [cells[place : place + width] for place in range(0, len(cells), width)]

    @property
    def title(self) -> str:
        if self.view == View.MONTH:
            return date_format(self.day, "F Y")
        if self.view == View.WEEK:
            last = self._first + timedelta(days=6)
            return f"{date_format(self._first, 'j M')} – {date_format(last, 'j M Y')}"
        said = date_format(self.day, "l, j F Y")
        return said if self.view == View.DAY else f"{said}, {date_format(self.at, 'H:00')}"

    @property
    def earlier(self) -> Sheet:
        return self._moved(-1)

    @property
    def later(self) -> Sheet:
        return self._moved(1)

    @property
    def moment(self) -> datetime | date:
        """What an address names it by: a day, or an instant where days are too coarse."""
        return self.at.astimezone(UTC) if self.view == View.HOUR else self.day

    @property
    def changes_clocks(self) -> bool:
        """Whether the clocks are changed on its day."""
        day = starts_of(self.day, self.zone), starts_of(_after(self.day), self.zone)
        return len({one.astimezone(self.zone).utcoffset() for one in day}) > 1

    @property
    def _first(self) -> date:
        """The Monday its grid begins with."""
        day = self.day.replace(day=1) if self.view == View.MONTH else self.day
        return day - timedelta(days=day.weekday())

    @property
    def _weeks(self) -> int:
        if self.view == View.WEEK:
            return 1
        last = _month_after(self.day, 1) - timedelta(days=1)
        return (last - self._first).days // 7 + 1

    def _moved(self, by: int) -> Sheet:
        if self.view == View.HOUR:
            return self._at(self.at.astimezone(UTC) + by * HOUR)
        if self.view == View.MONTH:
            day = _month_after(self.day, by)
        else:
            day = self.day + by * timedelta(days=7 if self.view == View.WEEK else 1)
        return self._at(starts_of(day, self.zone))

    def _at(self, moment: datetime) -> Sheet:
        return replace(self, at=moment.astimezone(self.zone))


def starts_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant a day begins with, in UTC: that of the jump where midnight is jumped over."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _after(day: date) -> date:
    return day + timedelta(days=1)


def _month_after(day: date, by: int) -> date:
    """The first of the month so many months on."""
    months = 12 * day.year + day.month - 1 + by
    return date(months // 12, months % 12 + 1, 1)


def _steps(start: datetime, end: datetime, length: timedelta) -> list[Span]:
    edges = [start]
    while edges[-1] < end:
        edges.append(min(edges[-1] + length, end))
    return list(pairwise(edges))
