"""The history of executions, and one execution with its devices and the output of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.acting import attempt
from accounts.pages import identifier, newest_first, paginate, person, render_page
from scheduling import executions, outputs, progress, terminal, waiting
from scheduling.models import DeviceRun, Execution

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
    execution = _visible(person(request), pk)
    executions.with_results([execution])
    show = request.GET.get("show", "")
    runs = execution.runs.filter(rolls_back=None).select_related("execution", "device")
    page = paginate(request, _filtered(runs, show, request.GET.get("search", "")), RUNS_PER_PAGE)
    waiting.explain(list(page.object_list))
    context = {
        "execution": execution,
        "headlines": _headlines(execution, runs),
        "show": show,
        "search": request.GET.get("search", ""),
        "page": page,
        "retried": _retried(execution),
        **_chosen(request, runs, page.object_list),
    }
    regions = {"execution": "executions/_live.html", "output": "executions/_output.html"}
    return render_page(request, "executions/detail.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
def execution_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says how many devices it touches; POST cancels."""
    user = person(request)
    execution = _visible(user, pk)
    if request.method == "POST":
        attempt(request, partial(executions.cancel, execution, user), _("Cancelling."))
        return redirect(execution)
    executions.with_results([execution])
    counts = execution.result.get("counts", {})
    context = {
        "execution": execution,
        "running": counts.get("running", 0),
        "unstarted": sum(counts.get(status, 0) for status in DeviceRun.UNSTARTED),
    }
    return render(request, "executions/cancel.html", context)


@require_POST
@login_required
def execution_retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    execution = _visible(user, pk)
    again = attempt(request, partial(executions.retry, execution, user), _("Started again."))
    return redirect(again or execution)


def _visible(user: User, pk: UUID) -> Execution:
    visible = Execution.objects.visible_to(user).select_related("task", "user", "caused_by")
    return get_object_or_404(visible, pk=pk)


def _headlines(execution: Execution, runs: DeviceRunQuerySet) -> list[Headline]:
    counts = execution.result.get("counts", {})
    headlines = [
        Headline(name, label, tone, sum(counts.get(status, 0) for status in statuses))
        for name, label, tone, statuses in HEADLINES
    ]
    if not execution.has_ended:
        away = runs.filter(progress.COUNTED, progress.WAITS_OFFLINE).count()
        headlines.insert(4, Headline(OFFLINE, _("Waiting, offline"), "mild", away))
    return headlines


def _filtered(runs: DeviceRunQuerySet, show: str, search: str) -> Any:
    statuses = {name: statuses for name, _label, _tone, statuses in HEADLINES}
    if show in statuses:
        runs = runs.filter(progress.COUNTED, status__in=statuses[show])
    elif show == OFFLINE:
        runs = runs.filter(progress.COUNTED, progress.WAITS_OFFLINE)
    if search.strip():
        runs = runs.filter(device_name__icontains=search.strip())
    return runs.order_by("wave", "device_name", "attempt")


def _retried(execution: Execution) -> int:
    """How many devices a retry would go to, or 0 where there is nothing to retry."""
    if not execution.has_ended:
        return 0
    statuses = Q(status__in=["failed", "timed_out", "rejected", "expired", "skipped", "cancelled"])
    runs = execution.runs.filter(progress.COUNTED, statuses, device__revoked_at=None)
    return int(runs.exclude(device=None).count())


def _chosen(request: HttpRequest, runs: DeviceRunQuerySet, shown: Any) -> dict[str, Any]:
    """The run whose output shows: the one `?run=` names, or the first on the page."""
    wanted = identifier(request.GET.get("run", ""))
    run = get_object_or_404(runs, pk=wanted) if wanted else next(iter(shown), None)
    if run is None:
        return {"run": None}
    start = max(0, run.output_next - OUTPUT_SHOWN_BYTES)
    output = outputs.read(run, offset=start, limit=OUTPUT_SHOWN_BYTES)
    return {"run": run, "output": output, "output_text": terminal.plain(output.text), "cut": start}
