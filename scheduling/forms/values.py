"""What is typed into a form, as the JSON-like values the verbs take; what is not understood stays text,
so that the verbs refuse it in their own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.translation import gettext_lazy as _

from accounts.moments import place

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,12}\.[0-9]{1,12}")
# In quotes, in which a quote is doubled, or as it stands.
_WORD = re.compile(r'\s*(?:"((?:[^"\n]|"")*)"|([^,\n]*))[^\S\n]*(?:[,\n]|\Z)')
WORDS_HELP = _("Words separated by commas; one that holds a comma in quotes.")
UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}


def number(text: str) -> int | str | None:
    """A whole number; None where nothing was typed."""
    text = text.strip()
    if not text:
        return None
    return int(text) if _WHOLE.fullmatch(text) else text


def decimal(text: str) -> float | int | str | None:
    text = text.strip().replace(",", ".")
    return float(text) if _DECIMAL.fullmatch(text) else number(text)


def numbers(text: str) -> list[int | str]:
    """Whole numbers, separated by commas or blanks."""
    return [one for part in re.split(r"[,\s]+", text) if (one := number(part)) is not None]


def words(text: str) -> list[str]:
    """Texts separated by commas or line ends; one that holds a comma stands in quotes."""
    found = (quoted.replace('""', '"') or plain for quoted, plain in _WORD.findall(text))
    return [word.strip() for word in found if word.strip()]


def as_words(texts: Iterable[str]) -> str:
    """The texts as `words` reads them."""
    return ", ".join(
        '"{}"'.format(one.replace('"', '""')) if "," in one or one.startswith('"') else one
        for one in texts
    )


def seconds(amount: str, unit: str) -> int | str | None:
    """A length of time typed as an amount of a unit."""
    typed = number(amount)
    return typed * UNITS.get(unit, 1) if isinstance(typed, int) else typed


def as_amount(length_seconds: int) -> tuple[str, str]:
    """The amount and the largest unit that say a length of time exactly."""
    for unit in ("days", "hours", "minutes"):
        if length_seconds and length_seconds % UNITS[unit] == 0:
            return str(length_seconds // UNITS[unit]), unit
    return str(length_seconds), "seconds"


def instant(typed: str, zone: str) -> str | None:
    """The instant at which clocks in the zone show what was typed, in ISO 8601 with its offset."""
    if not typed.strip():
        return None
    try:
        wall = datetime.fromisoformat(typed.strip())
        return wall.replace(tzinfo=ZoneInfo(zone)).isoformat() if wall.tzinfo is None else typed
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return typed


def kept(exact: str, typed: str, zone: str) -> str | None:
    """The `exact` time that a form carries beside what it shows of it, where that was left alone: a
    wall time does not say its offset."""
    try:
        is_as_shown = as_wall(datetime.fromisoformat(exact), zone) == typed
    except (ValueError, OverflowError, OSError):
        return None
    return exact if is_as_shown else None


def as_wall(moment: datetime | None, zone: str) -> str:
    """What clocks in the zone show at an instant, as a `datetime-local` input takes it; a naive one is
    that already."""
    if moment is None:
        return ""
    is_aware = moment.tzinfo is not None
    wall = moment.astimezone(place(zone)).replace(tzinfo=None) if is_aware else moment
    return wall.isoformat(timespec="minutes" if wall.second == 0 else "seconds")
