"""Cron expressions: five fields with the standard meaning, read by cronsim."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache

from cronsim import CronSim, CronSimError
from django.utils.translation import gettext as _

from scheduling.recurrence.days import Months, Period, Pick

LONGEST = 200
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LAST = CronSim.LAST
LAST_WEEKDAY = CronSim.LAST_WEEKDAY
_FIELDS = re.compile(r"[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}")
_SOME_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 (only read for its calendar)


@dataclass(frozen=True)
class Cron:
    """`days` may hold LAST and LAST_WEEKDAY; a weekday is 0 to 6 (0: Sunday) or (weekday, nth or
    LAST). Where both say something, a day has to fit `either` of them, else both."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int | tuple[int, int]]
    either: bool
    as_shown: bool
    matching: Months

    @cached_property
    def times(self) -> tuple[int, ...]:
        """Seconds of the day."""
        return tuple(hour * 3_600 + minute * 60 for hour in self.hours for minute in self.minutes)


def normalised(expression: object) -> str:
    """The expression with single spaces. Raises ValueError saying what is wrong with it."""
    if not isinstance(expression, str):
        raise ValueError(_("must be text."))
    if len(expression) > LONGEST:
        raise ValueError(_("must have at most %s characters.") % LONGEST)
    text = " ".join(expression.split())
    if text.lower() in MACROS:
        return text.lower()
    parse(text)
    return text


@lru_cache(maxsize=2_000)
def parse(expression: str) -> Cron:
    """Raises ValueError saying what is wrong with the expression."""
    text = MACROS.get(expression, expression)
    if not _FIELDS.fullmatch(text):
        raise ValueError(_complaint(text))
    try:
        sim = CronSim(text, _SOME_TIME)
    except CronSimError as error:
        raise ValueError(_refusal(text, str(error))) from None
    minute, hour, *_rest = text.split()
    return Cron(
        minutes=tuple(sorted(sim.minutes)),
        hours=tuple(sorted(sim.hours)),
        days=frozenset(sim.days),
        months=frozenset(sim.months),
        weekdays=frozenset(_weekday(one) for one in sim.weekdays),
        either=not sim.day_and,
        as_shown=minute.startswith("*") or hour.startswith("*"),
        matching=Months(_months(sim.months), _pick(sim)),
    )


def _months(months: set[int]) -> Period:
    return Period(0, 12, tuple(month - 1 for month in sorted(months)))


def _pick(sim: CronSim) -> Pick:
    def pick(year: int, month: int) -> tuple[int, ...]:
        days = range(1, monthrange(year, month)[1] + 1)
        return tuple(day for day in days if sim.match_day(date(year, month, day)))

    return pick


def _weekday(given: int | tuple[int, int]) -> int | tuple[int, int]:
    return (given[0] % 7, given[1]) if isinstance(given, tuple) else given % 7


def _complaint(text: str) -> str:
    if text.startswith("@"):
        return _("must be one of %s, or have five fields.") % ", ".join(MACROS)
    if len(text.split()) == 6:
        return _("must have five fields: cron runs once a minute at most, without seconds.")
    if len(text.split()) != 5:
        return _("must have five fields: minute, hour, day of month, month, day of week.")
    return _("may have digits, names and * , - / # L in its fields only.")


def _refusal(text: str, complaint: str) -> str:
    """Our words for what cronsim says, which is "Bad minute" and its like."""
    minute, hour, day, _month, weekday = text.split()
    name = complaint.removeprefix("Bad ")
    if name == "day-of-month" and _is_valid(f"{minute} {hour} {day} * {weekday}"):
        return _("never runs: no such month has such a day.")
    words = {
        "minute": _("the minute is not valid."),
        "hour": _("the hour is not valid."),
        "day-of-month": _("the day of the month is not valid."),
        "month": _("the month is not valid."),
        "day-of-week": _("the day of the week is not valid."),
    }
    return words.get(name, _("is not a cron expression."))


def _is_valid(text: str) -> bool:
    try:
        CronSim(text, _SOME_TIME)
    except CronSimError:
        return False
    return True
