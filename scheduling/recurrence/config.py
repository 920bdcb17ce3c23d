"""`recurrence_config`, type by type: what may be in it, and the form in which it is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from scheduling.recurrence import checks, cron
from scheduling.recurrence.errors import ConfigError
from scheduling.recurrence.instants import LAST, SECOND, micros

UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
SHORTEST_INTERVAL = 10
LONGEST_INTERVAL = 3_650 * 86_400
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_RUN_AT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_REQUIRED = object()


class _Reader:
    """Takes the keys of a config one by one, and knows at the end which were left over."""

    def __init__(self, given: Mapping[Any, Any]) -> None:
        self._left = dict(given)
        self.values: dict[str, Any] = {}
        self.messages: list[str] = []

    def has(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, check: checks.Check, default: object = _REQUIRED) -> None:
        value = self._left.pop(name, default)
        if value is _REQUIRED:
            self.messages.append(f"{name}: " + _("is required."))
            return
        try:
            self.values[name] = check(value)
        except ValueError as error:
            self.messages.append(f"{name}: {error}")

    def finish(self) -> dict[str, Any]:
        for name in list(self._left)[:5]:
            self.messages.append(_("%s: is not known here.") % ascii(name)[:60].strip("'"))
        if self.messages:
            raise ConfigError(self.messages)
        return self.values


def time_of_day(value: object) -> str:
    if not isinstance(value, str) or not _TIME.fullmatch(value) or not value.isascii():
        raise ValueError(_("must be a time of day, as in 02:00."))
    return value.removesuffix(":00") if value.count(":") == 2 else value


def run_at(value: object) -> str | None:
    """A wall time, or an instant with an offset, cut to whole seconds; None: at no time of its own."""
    if value is None:
        return None
    if not isinstance(value, str) or not _RUN_AT.fullmatch(value):
        raise ValueError(_("must be a date and time, as in 2027-01-31T02:00, or null."))
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(_("there is no such date and time.")) from None
    if not 0 < micros(moment.replace(tzinfo=moment.tzinfo or UTC)) < LAST - 2 * 86_400 * SECOND:
        raise ValueError(_("is out of range."))
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")


def days_of_week(value: object) -> list[int]:
    if not isinstance(value, list | tuple) or not value or len(value) > 100:
        raise ValueError(_("must be a list of weekdays, 0 (Monday) to 6 (Sunday)."))
    check = checks.whole_number(0, 6)
    return sorted({check(day) for day in value})


def _once(config: _Reader) -> None:
    config.take("run_at", run_at)


def _interval(config: _Reader) -> None:
    config.take("every", checks.whole_number(1, LONGEST_INTERVAL))
    config.take("unit", checks.one_of(UNIT_SECONDS))
    if len(config.values) < 2:
        return
    seconds = config.values["every"] * UNIT_SECONDS[config.values["unit"]]
    if seconds < SHORTEST_INTERVAL:
        config.messages.append("every: " + _("must be at least %s seconds.") % SHORTEST_INTERVAL)
    elif seconds > LONGEST_INTERVAL:
        config.messages.append("every: " + _("must be at most ten years."))


def _daily(config: _Reader) -> None:
    config.take("time", time_of_day)
    config.take("every", checks.whole_number(1, 3_650), 1)


def _weekly(config: _Reader) -> None:
    config.take("time", time_of_day)
    config.take("days_of_week", days_of_week)
    config.take("every", checks.whole_number(1, 520), 1)


def _monthly(config: _Reader) -> None:
    config.take("time", time_of_day)
    missing_day = checks.one_of(("skip", "last"))
    if config.has("nth") or config.has("weekday"):
        if config.has("day_of_month"):
            config.messages.append("day_of_month: " + _("does not go together with nth, weekday."))
            config.take("day_of_month", checks.anything)
        config.take("nth", checks.one_number_of(1, 2, 3, 4, -1))
        config.take("weekday", checks.whole_number(0, 6))
        config.take("missing_day", missing_day, "skip")
        config.values.pop("missing_day", None)  # Every month has these days.
    else:
        config.take("day_of_month", checks.one_number_of(*range(1, 32), -1))
        config.take("missing_day", missing_day, "skip")
    config.take("every", checks.whole_number(1, 120), 1)


def _custom(config: _Reader) -> None:
    config.take("cron_expression", cron.normalised)


_SHAPES: dict[str, Callable[[_Reader], None]] = {
    "once": _once,
    "interval": _interval,
    "daily": _daily,
    "weekly": _weekly,
    "monthly": _monthly,
    "custom": _custom,
}
TYPES = tuple(_SHAPES)


def read(recurrence_type: str, given: object) -> dict[str, Any]:
    """The config of this type, complete with defaults. Raises ConfigError."""
    if not isinstance(given, Mapping):
        raise ConfigError([_("must be an object.")])
    config = _Reader(given)
    _SHAPES[recurrence_type](config)
    return config.finish()
