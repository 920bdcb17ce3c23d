"""How long the latest executions of a task took, and how many of their devices succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.templatetags.pages import exact, span
from scheduling.charts.drawing import Chart, Column, Series, dotted, stacked
from scheduling.models import Execution, ScheduledTask
from scheduling.progress import TELLING

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LATEST = 50


@dataclass(frozen=True, slots=True)
class TaskCharts:
    """`durations` and `success` over the same executions, oldest first; empty where none ended."""

    durations: Chart
    success: Chart
    is_empty: bool


def of_task(task: ScheduledTask, user: User) -> TaskCharts:
    """Of the task's latest LATEST executions that this person may see, those that ran to an end; one
    query, of an index, whatever the history's length. Times are in the task's zone."""
    fields = ("pk", "task", "status", "created_at", "started_at", "completed_at", "result")
    latest = list(task.executions.visible_to(user).only(*fields).order_by("-pk")[:LATEST])
    judged = [one for one in reversed(latest) if one.status in TELLING and one.started_at]
    return TaskCharts(_durations(task, judged), _success(task, judged), not judged)


def _durations(task: ScheduledTask, judged: Sequence[Execution]) -> Chart:
    seconds = [_seconds(one) for one in judged]
    top = max(seconds, default=1.0) or 1.0
    columns = [
        _column(task, one, [span(took), one.get_status_display()])
        for one, took in zip(judged, seconds, strict=True)
    ]
    dots, line = dotted(columns, [_tone(one) for one in judged], seconds, top)
    longest, latest = max(seconds, default=0.0), seconds[-1] if seconds else 0.0
    said = _("The latest took %(latest)s, the longest %(longest)s.")
    return Chart(
        id="chart-durations",
        title=_("How long it took"),
        summary=said % {"latest": span(latest), "longest": span(longest)},
        top=span(top),
        columns=columns,
        head=[_("Started"), _("Took"), _("Status")],
        dots=dots,
        line=line,
    )


def _success(task: ScheduledTask, judged: Sequence[Execution]) -> Chart:
    series = [Series(_("Succeeded"), "good"), Series(_("Failed"), "bad")]
    values = [_shares(one) for one in judged]
    columns = [
        _column(task, one, [_percent(good), one.get_status_display()])
        for one, (good, _bad) in zip(judged, values, strict=True)
    ]
    succeeded = sum(one.status == "success" for one in judged)
    said = ngettext(
        "%(done)s of the last %(all)s execution succeeded (%(share)s).",
        "%(done)s of the last %(all)s executions succeeded (%(share)s).",
        len(judged),
    )
    share = _percent(100 * succeeded / max(len(judged), 1))
    return Chart(
        id="chart-success",
        title=_("Success rate"),
        summary=said % {"done": succeeded, "all": len(judged), "share": share},
        top=_percent(100),
        columns=columns,
        head=[_("Started"), _("Devices that succeeded"), _("Status")],
        keys=series,
        bars=stacked(columns, series, values, 100.0),
    )


def _column(task: ScheduledTask, one: Execution, cells: list[str]) -> Column:
    started = one.started_at
    assert started is not None
    return Column(exact(started, task.time_zone), cells, one.get_absolute_url())


def _seconds(one: Execution) -> float:
    assert one.started_at is not None
    assert one.completed_at is not None
    return max((one.completed_at - one.started_at).total_seconds(), 0.0)


def _shares(one: Execution) -> tuple[float, float]:
    """Per cent of the devices that count: succeeded, and against."""
    good = one.result.get("devices_succeeded", 0)
    bad = one.result.get("devices_failed", 0)
    if not good + bad:
        return (100.0, 0.0) if one.status == "success" else (0.0, 100.0)
    return 100 * good / (good + bad), 100 * bad / (good + bad)


def _tone(one: Execution) -> str:
    return str(Execution.TONES[one.status])


def _percent(share: float) -> str:
    """Never 100 % where something failed, nor 0 % where something succeeded."""
    whole = round(share)
    if whole in (0, 100) and whole != share:
        whole = 1 if whole == 0 else 99
    return _("%d %%") % whole
