"""Checks of single values of people's input: each answers the clean value or raises ValueError."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

Check = Callable[[object], Any]
Errors = dict[str, list[str]]
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# What ends a line, or turns the writing around: a name with it would read as something else.
_LINE = re.compile(r"[\r\n\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def checked(
    checks: Mapping[str, Check], given: Mapping[str, Any], errors: Errors
) -> dict[str, Any]:
    """The clean values of `given`; what is wrong, or not known, goes into `errors` by name."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in checks:
            errors[str(name)[:100]] = [_("This field is not known.")]
            continue
        try:
            values[name] = checks[name](value)
        except ValueError as error:
            errors.setdefault(name, []).append(str(error))
    return values


def text(longest: int, *, shortest: int = 0, one_line: bool = False) -> Check:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(_("must be text."))
        cleaned = value.strip()
        if _CONTROL.search(cleaned) or (one_line and _LINE.search(cleaned)):
            raise ValueError(_("must not contain control characters."))
        if not shortest <= len(cleaned) <= longest:
            message = _("must have from %(low)s to %(high)s characters.")
            raise ValueError(message % {"low": shortest, "high": longest})
        return cleaned

    return check


def whole_number(low: int, high: int, *, optional: bool = False) -> Check:
    def check(value: object) -> int | None:
        if value is None and optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            message = _("must be a whole number from %(low)s to %(high)s.")
            raise ValueError(message % {"low": low, "high": high})
        return value

    return check


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("must be true or false."))
    return value


def one_of(accepted: Iterable[str]) -> Check:
    def check(value: object) -> str:
        names = list(accepted)
        if not isinstance(value, str) or value not in names:
            raise ValueError(_("must be one of %s.") % ", ".join(names))
        return value

    return check


def instant(value: object) -> datetime | None:
    """An aware instant, or null; from JSON it is ISO 8601 with an offset."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else _parsed_instant(value)
    if moment is None or moment.tzinfo is None:
        raise ValueError(_("must be an ISO 8601 instant with Z or an offset, or null."))
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(_("is out of range.")) from None


def _parsed_instant(value: object) -> datetime | None:
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None


def identifiers(most: int) -> Check:
    """A list of ids, given as UUIDs or text, without repeats and in the order given."""

    def check(value: object) -> list[str]:
        if not isinstance(value, list | tuple):
            raise ValueError(_("must be a list of ids."))
        if len(value) > most:
            raise ValueError(_("must have at most %s entries.") % most)
        return list(dict.fromkeys(_identifier(one) for one in value))

    return check


def _identifier(value: object) -> str:
    try:
        return str(value if isinstance(value, UUID) else UUID(str(value)))
    except ValueError:
        raise ValueError(_("%s is not an id.") % repr(value)[:60]) from None


def tags(value: object) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > 50:
        raise ValueError(_("must be a list of at most 50 tags."))
    one = text(50, shortest=1, one_line=True)
    return list(dict.fromkeys(one(tag) for tag in value))


def anything(value: object) -> object:
    """For what another module checks."""
    return value


def plain_list(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise ValueError(_("must be a list."))
    return list(value)
