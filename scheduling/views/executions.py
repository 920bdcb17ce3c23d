"""The history of executions, and one execution with its devices and the output of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.pages import identifier, newest_first, paginate, person, render_page
from devices.agent import kinds
from scheduling import (
    details,
    executions,
    holdups,
    outputs,
    progress,
    restoring,
    steering,
    terminal,
    waiting,
)
from scheduling.models import DeviceRun, Execution
from scheduling.views.tasks import payload_rows

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import Promise

    from scheduling.models.device_run import DeviceRunQuerySet

RUNS_PER_PAGE = 50
OUTPUT_SHOWN_BYTES = 128 * 1024
HEADLINES: tuple[tuple[str, str | Promise, str, tuple[str, ...]], ...] = (
    ("succeeded", gettext_lazy("Succeeded"), "good", ("succeeded",)),
    ("failed", gettext_lazy("Failed"), "bad", DeviceRun.AGAINST),
    ("running", gettext_lazy("Running"), "busy", ("running",)),
    ("waiting", gettext_lazy("Waiting"), "wait", DeviceRun.UNSTARTED),
    ("skipped", gettext_lazy("Skipped"), "still", ("skipped",)),
    ("cancelled", gettext_lazy("Cancelled"), "still", ("cancelled",)),
)
OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Headline:
    """One count that filters the table."""

    name: str
    label: str | Promise
    tone: str
    count: int


@require_safe
@login_required
def execution_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    status = request.GET.get("status", "")
    found = Execution.objects.visible_to(user).select_related("user")
    if status in Execution.Status.values:
        found = found.filter(status=status)
    history = newest_first(request, found)
    executions.with_results(history.rows)
    context = {"history": history, "statuses": Execution.Status, "status": status}
    return render_page(
        request,
        "executions/list.html",
        context,
        regions={"execution-list": "executions/_list.html"},
    )


@require_safe
@login_required
def execution_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    execution = visible_execution(user, pk)
    executions.with_results([execution])
    show = request.GET.get("show", "")
    runs = execution.runs.select_related("execution", "device")
    page = paginate(request, _filtered(runs, show, request.GET.get("search", "")), RUNS_PER_PAGE)
    waiting.explain(list(page.object_list))
    can = steering.possible(execution)
    context = {
        "execution": execution,
        "headlines": _headlines(execution, can),
        "show": show,
        "search": request.GET.get("search", ""),
        "page": page,
        "can": can,
        "holdups": holdups.sentences(execution, can),
        "waves": steering.waves(execution, can),
        "keeping": len(restoring.kept_on(execution)) if execution.has_ended else 0,
        "payload": _payload(execution, user),
        **_chosen(request, runs, page.object_list),
    }
    regions = {"execution": "executions/_live.html", "output": "executions/_output.html"}
    return render_page(request, "executions/detail.html", context, regions=regions)


def visible_execution(user: User, pk: UUID) -> Execution:
    visible = Execution.objects.visible_to(user).select_related(
        "task", "user", "caused_by", "rollout_paused_by"
    )
    return get_object_or_404(visible, pk=pk)


def _payload(execution: Execution, user: User) -> list[tuple[str, Any]]:
    """What it ran, as (label, value); nothing where it opened no runs."""
    payload = execution.definition.get("task_payload")
    if not payload:
        return []
    if "restore" in payload:
        return [("Restore", kinds.get(execution.task_type).summary(payload))]
    return payload_rows(execution.task_type, payload, user)


def _headlines(execution: Execution, can: steering.Possible) -> list[Headline]:
    counts = execution.result.get("counts", {})
    headlines = [
        Headline(name, label, tone, sum(counts.get(status, 0) for status in statuses))
        for name, label, tone, statuses in HEADLINES
    ]
    if not execution.has_ended:
        headlines.insert(4, Headline(OFFLINE, _("Waiting, offline"), "mild", can.offline))
    return headlines


def _filtered(runs: DeviceRunQuerySet, show: str, search: str) -> Any:
    statuses = {name: statuses for name, _label, _tone, statuses in HEADLINES}
    if show in statuses:
        runs = runs.filter(progress.COUNTED, status__in=statuses[show])
    elif show == OFFLINE:
        runs = runs.filter(progress.COUNTED, progress.WAITS_OFFLINE)
    if search.strip():
        runs = runs.filter(device_name__icontains=search.strip())
    return runs.order_by("wave", "device_name", "id")


def _chosen(request: HttpRequest, runs: DeviceRunQuerySet, shown: Any) -> dict[str, Any]:
    """The run whose output shows: the one `?run=` names, or the first on the page."""
    wanted = identifier(request.GET.get("run", ""))
    run = get_object_or_404(runs, pk=wanted) if wanted else next(iter(shown), None)
    if run is None:
        return {"run": None}
    start = max(0, run.output_next - OUTPUT_SHOWN_BYTES)
    output = outputs.read(run, offset=start, limit=OUTPUT_SHOWN_BYTES)
    return {
        "run": run,
        "said": details.read(run.detail),
        "output": output,
        "output_text": terminal.plain(output.text),
        "cut": start,
    }
