"""When something ends, as people type it: `90m`, `24h`, `30d`, `2027-01-01`, `2027-01-01T12:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _

_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_expiry(text: str, now: datetime) -> datetime:
    """The instant meant; a span counts from `now`, a time without a zone is UTC. Raises ValueError
    worded for people, for the past as well."""
    moment = _from_span(text.strip(), now) or _from_date(text.strip())
    if moment is None:
        raise ValueError(_("“%s” is neither like 24h or 30d nor a date like 2027-01-31.") % text)
    if moment <= now:
        raise ValueError(_("“%s” lies in the past.") % text)
    return moment


def _from_span(text: str, now: datetime) -> datetime | None:
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    try:
        return now + timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        return None


def _from_date(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
