"""Reading a request's JSON object, before a verb checks it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts.errors import InvalidInput


def body(request: Request, *, read_only: Collection[str] = ()) -> dict[str, Any]:
    """The members given, those that are read-only left out: a PUT of what GET answered works."""
    given = request.data
    assert isinstance(given, dict), "the parser accepts objects alone"
    return {name: value for name, value in given.items() if name not in read_only}


def only(request: Request, *names: str) -> dict[str, Any]:
    """The members given. Raises InvalidInput naming every one that is not among `names`."""
    given = body(request)
    refuse_unknown(given, names)
    return given


def refuse_unknown(given: Collection[str], names: Collection[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InvalidInput({name[:100]: [_("This field is not known.")] for name in unknown})
