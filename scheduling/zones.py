"""Time zones people may choose from: every name of the tzdata wheel that means a place."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(available_timezones() - _NOT_PLACES))
