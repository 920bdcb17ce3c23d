"""What templates say of tasks and executions: payloads in a line, and how far things are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.utils.translation import gettext as _

from accounts.templatetags.pages import badge_of
from scheduling import lost_kinds, payloads
from scheduling.forms.picking import Choice
from scheduling.models import DeviceRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scheduling.models import Execution, ScheduledTask
    from scheduling.steering import Wave

register = template.Library()

BAR: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("good", ("succeeded",)),
    ("bad", DeviceRun.AGAINST),
    ("still", ("skipped", "cancelled")),
    ("busy", ("running", "claimed")),
)


@register.filter
def lost_kind(task_type: str) -> str:
    """What to say of a type that this server has no longer; empty where it has it."""
    is_lost = task_type and lost_kinds.is_lost(task_type)
    return lost_kinds.sentence(task_type) if is_lost else ""


@register.filter
def payload_summary(task: ScheduledTask) -> str:
    return payloads.summary(task.task_type, task.task_payload)


@register.filter
def shape_of(value: object) -> str:
    """How a value of a payload is shown: list, links, pairs, flag, numbers or text."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, dict):
        return "pairs"
    if isinstance(value, list):
        if value and all(isinstance(one, Choice) for one in value):
            return "links"
        return "numbers" if all(isinstance(one, int) for one in value) else "list"
    return "text"


@register.inclusion_tag("executions/_bar.html")
def progress_bar(execution: Execution) -> dict[str, Any]:
    """How many of the devices have ended well or badly or are at work; needs `result`."""
    return _bar(execution.result.get("counts", {}))


@register.inclusion_tag("executions/_bar.html")
def wave_bar(wave: Wave) -> dict[str, Any]:
    """The same of one wave's devices."""
    return _bar(wave.counts)


@register.simple_tag
def counts_in_words(counts: Mapping[str, int]) -> str:
    """How many are in each state, the states nobody is in left out."""
    said = [f"{counts[one]} {one.label.lower()}" for one in DeviceRun.Status if counts.get(one)]
    return ", ".join(said)


@register.inclusion_tag("_badge.html")
def paused_badge(execution: Execution) -> dict[str, Any]:
    """Beside the state of an execution, where its rollout is held."""
    return badge_of(_("Rollout paused"), "held") if execution.is_paused else {}


def _bar(counts: Mapping[str, int]) -> dict[str, Any]:
    total = sum(counts.values())
    pieces: list[tuple[str, str, str]] = []
    done = 0.0
    for tone, statuses in BAR:
        width = 100 * sum(counts.get(status, 0) for status in statuses) / max(total, 1)
        if width:
            pieces.append((tone, f"{done:.3f}", f"{width:.3f}"))
            done += width
    words = {"done": counts.get("succeeded", 0), "all": total}
    return {"pieces": pieces, "text": _("%(done)s of %(all)s devices succeeded") % words}
