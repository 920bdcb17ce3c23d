"""What is typed after an option, as the values the verbs take. Each raises ArgumentTypeError."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_ABBREVIATIONS = {
    "s": "second",
    "sec": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
}
_LENGTH = re.compile(r"([0-9]{1,9})\s*([a-z]+)", re.IGNORECASE)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(:[0-5][0-9])?")
_NTH_WEEKDAY = re.compile(r"([1-4]|last)\s*([a-z]+)")


def amount(text: str) -> tuple[int, str]:
    """`15 minutes`, `15m` → (15, "minutes")."""
    found = _LENGTH.fullmatch(text.strip())
    if found:
        word = found[2].lower()
        unit = _ABBREVIATIONS.get(word, word.removesuffix("s"))
        if unit in UNITS:
            return int(found[1]), f"{unit}s"
    raise ArgumentTypeError(_("“%s” is not a length of time such as “15 minutes” or 15m.") % text)


def seconds(text: str) -> int:
    """`10m`, `2 hours` or a bare number of seconds."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return int(text)
    number, unit = amount(text)
    return number * UNITS[unit.removesuffix("s")]


def time_of_day(text: str) -> str:
    """`2:00` → "02:00"."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ArgumentTypeError(_("“%s” is not a time of day such as 02:00.") % text)
    return f"{int(found[1]):02}:{found[2]}{found[3] or ''}"


def weekly(text: str) -> dict[str, Any]:
    """`mon,thu@02:00` → days_of_week, and time where it is given."""
    days, at = _split_time(text)
    return {"days_of_week": [_weekday(day) for day in days.split(",")], **at}


def monthly(text: str) -> dict[str, Any]:
    """`31`, `last`, `2tue` or `last fri`, each with `@02:00` or without."""
    day, at = _split_time(text)
    day = day.strip().lower()
    if day == "last":
        return {"day_of_month": -1, **at}
    if re.fullmatch(r"[0-9]{1,2}", day):
        return {"day_of_month": int(day), **at}
    if found := _NTH_WEEKDAY.fullmatch(day):
        nth = -1 if found[1] == "last" else int(found[1])
        return {"nth": nth, "weekday": _weekday(found[2]), **at}
    raise ArgumentTypeError(_("“%s” is not a day of the month: 31, last or 2tue.") % text)


def moment(text: str) -> str:
    """A date and time in ISO 8601, with an offset or as a wall clock shows it."""
    parsed = _parsed_moment(text, "2027-01-31T02:00")
    return parsed.isoformat(timespec="seconds" if parsed.second else "minutes")


def instant(text: str) -> datetime:
    """A date and time in ISO 8601; in UTC where it has no offset."""
    parsed = _parsed_moment(text, "2027-01-31T02:00Z")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _parsed_moment(text: str, example: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        message = _("“%(text)s” is not a date and time such as %(example)s.")
        raise ArgumentTypeError(message % {"text": text, "example": example}) from None


def variable(text: str) -> tuple[str, str]:
    """`NAME=value`."""
    name, sign, value = text.partition("=")
    if not sign:
        raise ArgumentTypeError(_("“%s” is not NAME=value.") % text)
    return name, value


def field(text: str) -> tuple[str, Any]:
    """`name=JSON`: any other field of a task, as the API takes it."""
    name, value = variable(text)
    try:
        return name, json.loads(value)
    except ValueError:
        raise ArgumentTypeError(_("%s is not followed by JSON.") % name) from None


def _split_time(text: str) -> tuple[str, dict[str, str]]:
    days, sign, time = text.partition("@")
    return days, {"time": time_of_day(time)} if sign else {}


def _weekday(text: str) -> int:
    word = text.strip().lower()
    for number, name in enumerate(_WEEKDAYS):
        if len(word) >= 2 and name.startswith(word):
            return number
    raise ArgumentTypeError(_("“%s” is not a day of the week such as mon.") % text)
