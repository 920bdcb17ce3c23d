"""What a calendar's cells say, in the zone of its sheet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.templatetags.pages import TONE_ICONS
from scheduling.models import Execution
from scheduling.sheets import View

if TYPE_CHECKING:
    from scheduling.calendar import Row
    from scheduling.forms.calendar import CalendarForm
    from scheduling.sheets import Sheet
    from scheduling.timetable import Cell

register = template.Library()
DAY_IN_FULL = "l, j F Y"


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    in_full: str
    is_today: bool
    is_outside: bool


@register.simple_tag
def sheet_url(form: CalendarForm, at: date | datetime | str, view: str) -> str:
    """The address of another sheet, in the same zone and with the same search. `at` empty: now."""
    asked = {"view": view, "date": _said(at), "zone": form.sheet.zone.key, "search": form.searched}
    return (
        f"{reverse('calendar')}?{urlencode({name: text for name, text in asked.items() if text})}"
    )


@register.simple_tag
def weekday(cell: Cell, sheet: Sheet) -> str:
    return date_format(cell.start.astimezone(sheet.zone), "l")


@register.simple_tag
def day_of(cell: Cell, sheet: Sheet) -> Day:
    day = cell.start.astimezone(sheet.zone).date()
    outside = sheet.view == View.MONTH and day.month != sheet.day.month
    return Day(day, date_format(day, DAY_IN_FULL), day == sheet.today, outside)


@register.simple_tag
def clock(cell: Cell, sheet: Sheet) -> str:
    """What the clock shows when the cell begins; with its offset on a day that has two."""
    local = cell.start.astimezone(sheet.zone)
    offset = local.isoformat()[-6:]
    return f"{local:%H:%M} UTC{offset}" if sheet.changes_clocks else f"{local:%H:%M}"


@register.simple_tag
def cell_name(cell: Cell, sheet: Sheet) -> str:
    if sheet.is_grid:
        return date_format(cell.start.astimezone(sheet.zone), DAY_IN_FULL)
    return clock(cell, sheet)


@register.inclusion_tag("calendar/_entry.html")
def entry(row: Row, cell: Cell, sheet: Sheet) -> dict[str, Any]:
    """A planned run leads to its task, a past one to what came of it."""
    tone = Execution.TONES[row.status] if row.status else "wait"
    label = Execution.Status(row.status).label if row.status else _("Planned")
    local = row.at.astimezone(sheet.zone)
    own = "" if row.time_zone == sheet.zone.key else f"{row.local:%H:%M} {row.time_zone}"
    minute = row.at.replace(second=0, microsecond=0)
    has_room = sheet.view != View.MONTH
    is_planned = row.kind == "planned"
    return {
        "tone": tone,
        "icon": "" if is_planned else TONE_ICONS[tone],
        "label": label,
        "time": f"{local:%H:%M:%S}" if row.at.second and has_room else f"{local:%H:%M}",
        "machine": f"{row.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "title": " · ".join(
            one for one in (f"{local:%H:%M} {row.task_name}", str(label), own, row.note) if one
        ),
        "name": row.task_name,
        "href": _leads_to(row),
        "collides": is_planned and has_room and minute in cell.collisions,
    }


def _leads_to(row: Row) -> str:
    if row.execution_id:
        return reverse("execution", args=[row.execution_id])
    return reverse("task", args=[row.task_id])


def _said(at: date | datetime | str) -> str:
    if isinstance(at, datetime):
        return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    return str(at)
