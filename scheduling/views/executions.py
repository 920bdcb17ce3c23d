"""The history of executions, and one execution with its devices and the output of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.pages import identifier, newest_first, person, render_page
from scheduling import (
    alike,
    details,
    executions,
    holdups,
    outputs,
    payloads,
    progress,
    restoring,
    shell_lines,
    standing,
    steering,
    terminal,
)
from scheduling.api import downloads
from scheduling.forms.history import HistoryFilter
from scheduling.models import DeviceRun, Execution
from scheduling.views import run_table
from scheduling.views.tasks import payload_rows

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

OUTPUT_SHOWN_BYTES = 128 * 1024


@require_safe
@login_required
def execution_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = HistoryFilter(user, request.GET)
    found = form.applied(Execution.objects.visible_to(user))
    history = newest_first(request, found.select_related("user").defer(*progress.BULKY))
    executions.with_results(history.rows)
    context = {"history": history, "form": form}
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
    stands = standing.of(execution)
    if not execution.has_ended:
        execution.result = progress.result_of({**stands.can.counts})
    page = run_table.page(request, execution, stands)
    context = {
        "execution": execution,
        "headlines": run_table.headlines(execution, stands),
        "columns": run_table.columns(request.GET),
        "show": request.GET.get("show", ""),
        "search": request.GET.get("search", ""),
        "sort": request.GET.get("sort", ""),
        "page": page,
        "can": stands.can,
        "holdups": holdups.sentences(execution, stands.waiting),
        "waves": stands.waves,
        "outputs": stands.outputs,
        "chosen_output": request.GET.get("output", ""),
        "keeping": execution.has_ended and restoring.keeps(execution),
        "failed_statuses": steering.FAILED,
        "payload": _payload(execution, user),
        "lines": shell_lines.of_execution(execution, user),
        **_chosen(request, execution, stands, page.object_list),
    }
    regions = {"execution": "executions/_live.html", "output": "executions/_output.html"}
    return render_page(request, "executions/detail.html", context, regions=regions)


@require_safe
@login_required
def execution_output(request: HttpRequest, pk: UUID) -> StreamingHttpResponse:
    """What every device wrote, as one file."""
    execution = visible_execution(person(request), pk)
    answer = downloads.of_execution(request, execution)
    return _as_file(answer, f"execution-{execution.pk}.txt")


@require_safe
@login_required
def run_output(request: HttpRequest, pk: UUID) -> StreamingHttpResponse:
    run = visible_run(person(request), pk)
    return _as_file(downloads.response(request, run), f"run-{run.pk}.txt")


@require_safe
@login_required
def run_difference(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What a device wrote beside what most of them did, or the largest group."""
    run = visible_run(person(request), pk)
    found = standing.of(run.execution).outputs
    if not found.differs(run):
        messages.info(request, _("There is nothing it differs from."))
        return redirect(address_of(run))
    assert found.reference is not None
    other = alike.member(run.execution, found.reference)
    context = {
        "run": run,
        "origin": address_of(run),
        "other": other,
        "outputs": found,
        "difference": None if other is None else alike.difference(run, other),
    }
    return render(request, "executions/difference.html", context)


def visible_execution(user: User, pk: UUID) -> Execution:
    visible = Execution.objects.visible_to(user).defer("payload", "rollback_payload")
    with_people = visible.select_related("task", "user", "caused_by", "rollout_paused_by")
    return get_object_or_404(with_people, pk=pk)


def visible_run(user: User, pk: UUID) -> DeviceRun:
    visible = DeviceRun.objects.visible_to(user).select_related("execution", "device")
    return get_object_or_404(visible, pk=pk)


def address_of(run: DeviceRun) -> str:
    """The page of its execution, with its output beside."""
    return f"{run.execution.get_absolute_url()}?run={run.pk}"


def _as_file(answer: StreamingHttpResponse, name: str) -> StreamingHttpResponse:
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _payload(execution: Execution, user: User) -> list[tuple[str, Any]]:
    """What it ran, as (label, value); nothing where it opened no runs."""
    payload = execution.definition.get("task_payload")
    if not payload:
        return []
    if "restore" in payload:
        return [("Restore", payloads.summary(execution.task_type, payload))]
    return payload_rows(execution.task_type, payload, user)


def _chosen(
    request: HttpRequest, execution: Execution, stands: standing.Standing, shown: Any
) -> dict[str, Any]:
    """The run whose output shows: the one `?run=` names, or the first on the page."""
    wanted = identifier(request.GET.get("run", ""))
    run = next((one for one in shown if wanted in (None, one.pk)), None)
    if run is None and wanted is not None:
        run = get_object_or_404(execution.runs.select_related("device"), pk=wanted)
        run.execution = execution
    if run is None:
        return {"run": None}
    start = max(0, run.output_next - OUTPUT_SHOWN_BYTES)
    # What comes after that is for the page's script to follow.
    limit = run.output_next - start
    output = outputs.read(run, offset=start, limit=limit, with_gaps=False)
    return {
        "run": run,
        "run_lines": shell_lines.of_run(run, person(request)),
        "differs": stands.outputs.differs(run),
        "said": details.read(run.detail),
        "output": output,
        "output_text": terminal.plain(output.text),
        "cut": start,
    }
