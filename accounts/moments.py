"""How far off a moment is, in words."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _


def place(zone: str) -> ZoneInfo:
    """The zone of this name; UTC where it has left the time zone database since it was chosen."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def distance(moment: datetime) -> str:
    """One unit is enough at a glance: "3 hours ago", not "3 hours, 12 minutes ago"."""
    now = timezone.now()
    if abs((moment - now).total_seconds()) < 60:
        return _("just now") if moment <= now else _("in under a minute")
    if moment <= now:
        return _("%(length)s ago") % {"length": timesince(moment, now, depth=1)}
    return _("in %(length)s") % {"length": timeuntil(moment, now, depth=1)}
