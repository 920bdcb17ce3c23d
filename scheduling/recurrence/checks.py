"""Checks of single values: each answers the clean value or raises ValueError."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

Check = Callable[[object], Any]


def anything(value: object) -> object:
    return value


def whole_number(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            message = _("must be a whole number from %(low)s to %(high)s.")
            raise ValueError(message % {"low": low, "high": high})
        return value

    return check


def one_of(accepted: Iterable[str]) -> Callable[[object], str]:
    names = tuple(accepted)

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(_("must be one of %s.") % ", ".join(names))
        return value

    return check


def one_number_of(*accepted: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value not in accepted:
            raise ValueError(_("must be one of %s.") % ", ".join(map(str, accepted)))
        return value

    return check


def instant(value: object) -> datetime | None:
    """An aware instant in UTC, or None."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(_("must be an instant with Z or an offset, or null."))
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(_("is out of range.")) from None
