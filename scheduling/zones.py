"""Time zones people may choose from: every name of the tzdata wheel that means a place."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones, reset_tzpath

# Each host's own files would have the nodes of an installation disagree about the clock.
reset_tzpath(to=())

_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(available_timezones() - _NOT_PLACES))
