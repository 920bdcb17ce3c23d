"""What templates say in one way everywhere: icons, states, moments and durations."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from accounts import icons, pressing
from accounts.moments import distance, place

register = template.Library()

TONE_ICONS = {
    "good": "circle-check",
    "bad": "circle-x",
    "busy": "loader-circle",
    "wait": "clock",
    "held": "circle-pause",
    "mild": "triangle-alert",
    "still": "circle-minus",
}
EXACT = "D j M Y, H:i"
MESSAGE_TONES = {"success": "good", "error": "bad", "warning": "mild", "info": "busy"}


@register.simple_tag
@cache
def icon(name: str, size: int = 16, css: str = "") -> SafeString:
    """A lucide icon; it only ever stands beside words, so a screen reader is spared it."""
    return mark_safe(icons.svg(name, size, css))  # noqa: S308


@register.simple_tag
def once() -> SafeString:
    """In a form that acts, so that it does so once however often it is sent; new each time it shows."""
    field = '<input type="hidden" name="{}" value="{}" autocomplete="off">'
    return format_html(field, pressing.FIELD, pressing.new_key())


@register.simple_tag(takes_context=True)
def page_address(context: template.RequestContext, number: int, parameter: str = "") -> str:
    """The address shown, with another page of the list whose page `parameter` ("page") names."""
    query = context["request"].GET.copy()
    query[parameter or "page"] = str(number)
    return f"?{query.urlencode()}"


@register.inclusion_tag("_badge.html")
def badge(thing: Any) -> dict[str, Any]:
    """The state of a row whose model has `Status` and `TONES`, as colour, shape and word."""
    status = type(thing).Status(thing.status)
    return badge_of(status.label, type(thing).TONES[status.value])


@register.inclusion_tag("_badge.html")
def state_badge(model_of: Any, status: str) -> dict[str, Any]:
    """The badge of a bare status, in the words and colours of the model `model_of` is a row of."""
    if not status:
        return {}
    return badge_of(model_of.Status(status).label, model_of.TONES[status])


def badge_of(label: str, tone: str) -> dict[str, Any]:
    return {"label": label, "tone": tone, "icon": TONE_ICONS[tone], "spins": tone == "busy"}


@register.simple_tag
def when(moment: datetime | None, zone: str = "UTC") -> str:
    """A moment in a zone, which is named."""
    if moment is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', _machine(moment), exact(moment, zone))


@register.simple_tag
def local(moment: datetime, zone: str) -> str:
    """A moment in a zone that stands beside it already."""
    shown = date_format(moment.astimezone(place(zone)), EXACT)
    return format_html('<time datetime="{}">{}</time>', _machine(moment), shown)


@register.simple_tag
def ago(moment: datetime | None, zone: str = "UTC") -> str:
    """How far off a moment is; its exact time is in the title."""
    if moment is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        _machine(moment),
        exact(moment, zone),
        distance(moment),
    )


@register.simple_tag
def duration(started: datetime | None, ended: datetime | None = None) -> str:
    """The time from one moment to another, or to now."""
    if started is None:
        return "–"
    return span(((ended or timezone.now()) - started).total_seconds())


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < 10:
        return _("%.1f s") % max(seconds, 0)
    whole = round(seconds)
    minutes, left = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if whole < 60:
        return _("%d s") % whole
    if minutes < 60:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": left}
    if hours < 24:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes_left}
    return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours_left}


@register.filter
def length_of_time(seconds: float) -> str:
    return span(seconds)


@register.filter
def message_tone(level: str) -> str:
    return MESSAGE_TONES.get(level, "still")


@register.filter
def tone_icon(tone: str) -> str:
    return TONE_ICONS[tone]


def _machine(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def exact(moment: datetime, zone: str) -> str:
    """A moment in a zone, which is named, as plain text."""
    where = place(zone)
    return f"{date_format(moment.astimezone(where), EXACT)} {where.key}"
