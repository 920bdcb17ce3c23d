"""What a request may carry: one JSON object of at most 2 MiB that the database can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from accounts.api.refusals import TooLarge
from accounts.errors import InvalidInput

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 32
MAX_DIGITS = 1_000


class ObjectParser(BaseParser):
    """Strict JSON: no NaN, no doubled names, no NUL, no half of a surrogate pair."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge
        try:
            value = json.loads(
                body.decode(),
                parse_constant=_refuse_constant,
                parse_int=_whole_number,
                object_pairs_hook=_without_doubles,
            )
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, ValueError) else _("It is nested too deeply.")
            raise ParseError(_("The body is not JSON: %s") % reason) from None
        if not isinstance(value, dict):
            raise ParseError(_("The body has to be a JSON object."))
        _check(value)
        return value


def _refuse_constant(name: str) -> None:
    raise ValueError(_("%s is not a JSON value.") % name)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError(_("An object names a member twice."))
    return value


def _check(value: dict[str, Any]) -> None:
    """Raises InvalidInput naming every member that cannot be stored."""
    said = {name: _problem(name, inner) for name, inner in value.items()}
    if wrong := {_shown(name): [one] for name, one in said.items() if one}:
        raise InvalidInput(wrong)


def _problem(*level: Any) -> str | None:
    found: list[str] = []
    for _depth in range(MAX_DEPTH - 1):
        found += filter(None, map(_problem_of_one, level))
        level = tuple(inner for outer in level for inner in _members(outer))
        if not level:
            return found[0] if found else None
    raise ParseError(_("The body is nested too deeply."))


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _problem_of_one(value: Any) -> str | None:
    if isinstance(value, str) and ("\0" in value or not _is_unicode(value)):
        return _("holds a character that cannot be stored.")
    if isinstance(value, float) and not math.isfinite(value):
        return _("is too large a number.")
    return None


def _shown(name: str) -> str:
    """The name, as it can be answered."""
    return name[:100] if _is_unicode(name) else ascii(name[:100])[1:-1]


def _whole_number(digits: str) -> float:
    """As Python reads it, which refuses very many digits: not for the whole body."""
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
