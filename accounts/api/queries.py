"""Reading query parameters; what is wrong with one is noted under its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts import fields
from accounts.errors import InvalidInput

Errors = dict[str, list[str]]


@contextmanager
def reading() -> Iterator[Errors]:
    """Raises InvalidInput at its end if anything was noted."""
    errors: Errors = {}
    yield errors
    if errors:
        raise InvalidInput(errors)


def whole_number(
    request: Request, name: str, errors: Errors, *, default: int, low: int, high: int
) -> int:
    text = request.query_params.get(name) or str(default)
    if text.isascii() and text.isdecimal() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    message = _("must be a whole number from %(low)s to %(high)s.")
    errors[name] = [message % {"low": low, "high": high}]
    return default


def one_of(request: Request, name: str, errors: Errors, accepted: Sequence[str]) -> str | None:
    """One of these words, or None where the parameter is not given."""
    text = request.query_params.get(name) or None
    if text is None or text in accepted:
        return text
    errors[name] = [_("must be one of %s.") % ", ".join(accepted)]
    return None


def flag(request: Request, name: str, errors: Errors) -> bool:
    return one_of(request, name, errors, ("true", "false")) == "true"


def instant(request: Request, name: str, errors: Errors) -> datetime | None:
    """An instant with Z or an offset, or None where the parameter is not given."""
    # A plus sign that was not escaped arrives as a blank.
    text = request.query_params.get(name, "").replace(" ", "+") or None
    try:
        moment: datetime | None = fields.instant(text)
    except ValueError as error:
        errors[name] = [str(error)]
        return None
    return moment
