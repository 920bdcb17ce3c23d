"""The buttons of an execution: hold its rollout, let it go on, end it, try again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.acting import attempt, back, refuse
from accounts.pages import person
from accounts.pressing import button, once
from scheduling import executions, restoring, rollbacks, steering
from scheduling.models import DeviceRun, Execution
from scheduling.views.executions import visible_execution

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

MOST_WAVES = 50_000


@button("execution")
def rollout_pause(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _steered(request, pk, executions.pause_rollout, _("The rollout is paused."))


@button("execution")
def rollout_resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _steered(request, pk, executions.resume_rollout, _("The rollout goes on."))


@button("execution")
def rollout_promote(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _steered(request, pk, executions.promote, _("The next wave may go."))


@require_http_methods(["GET", "POST"])
@login_required
@once
def rollout_abort(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says how many devices are skipped, how many finish and where it is undone; POST aborts."""
    if request.method == "POST":
        return _steered(request, pk, executions.abort, _("The rollout is aborted."))
    execution = visible_execution(person(request), pk)
    context = {
        "execution": execution,
        "can": steering.possible(execution),
        "undoable": rollbacks.undoable(execution),
    }
    return render(request, "executions/abort.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@once
def execution_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says how many devices it touches; POST cancels. `wave` limits both to one wave."""
    user = person(request)
    execution = visible_execution(user, pk)
    wave = _wave(request)
    if request.method == "POST":
        attempt(request, partial(executions.cancel, execution, user, wave=wave), _("Cancelling."))
        return redirect(execution)
    running, unstarted = steering.touched(execution, wave)
    context = {
        "execution": execution,
        "wave": wave,
        "running": running,
        "unstarted": unstarted,
        "undoable": None if wave else rollbacks.undoable(execution),
    }
    return render(request, "executions/cancel.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@once
def execution_retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET offers the end states there are, with how many devices are in each; POST retries those
    in the ticked ones."""
    user = person(request)
    execution = visible_execution(user, pk)
    if request.method == "GET":
        context = {"execution": execution, "choices": _choices(execution), "run_model": DeviceRun}
        return render(request, "executions/retry.html", context)
    ticked = request.POST.getlist("statuses")
    if not ticked:
        refuse(request, _("Tick at least one state."))
        return redirect("execution-retry", pk)
    verb = partial(executions.retry, execution, user, ticked)
    again = attempt(request, verb, _("Started again."))
    return redirect(again or execution)


@require_http_methods(["GET", "POST"])
@login_required
@once
def run_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what becomes of the run; POST cancels it."""
    user = person(request)
    runs = DeviceRun.objects.visible_to(user).select_related("execution")
    run = get_object_or_404(runs, pk=pk)
    page = f"{run.execution.get_absolute_url()}?run={run.pk}"
    if request.method == "POST":
        attempt(request, partial(executions.cancel_run, run, user), _("Cancelling."))
        return back(request, page)
    is_from_device = request.GET.get("from") == "device" and run.device_id is not None
    origin = reverse("device", args=[run.device_id]) if is_from_device else page
    context = {"run": run, "origin": origin}
    return render(request, "executions/cancel_run.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@once
def execution_restore(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says how many devices get back what was there; POST starts that."""
    user = person(request)
    execution = visible_execution(user, pk)
    if request.method == "POST":
        verb = partial(restoring.restore, execution, user)
        return redirect(attempt(request, verb, _("Putting back what was there.")) or execution)
    context = {
        "execution": execution,
        "devices": len(restoring.kept_on(execution)),
        "origin": execution.get_absolute_url(),
    }
    return render(request, "executions/restore.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@once
def run_restore(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The same for the one device of a run."""
    user = person(request)
    runs = DeviceRun.objects.visible_to(user).select_related("execution")
    run = get_object_or_404(runs, pk=pk)
    origin = f"{run.execution.get_absolute_url()}?run={run.pk}"
    if request.method == "POST":
        verb = partial(restoring.restore_run, run, user)
        return redirect(attempt(request, verb, _("Putting back what was there.")) or origin)
    context = {
        "execution": run.execution,
        "run": run,
        "devices": int(run.device_id in restoring.kept_on(run.execution)),
        "origin": origin,
    }
    return render(request, "executions/restore.html", context)


def _steered(
    request: HttpRequest, pk: UUID, verb: Callable[[Execution, User], object], success: str
) -> HttpResponse:
    user = person(request)
    execution = visible_execution(user, pk)
    attempt(request, partial(verb, execution, user), success)
    return redirect(execution)


def _wave(request: HttpRequest) -> int | None:
    """The wave the address or the form names. Raises Http404 where it names none there can be."""
    text = request.POST.get("wave", request.GET.get("wave", ""))
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= MOST_WAVES):
        raise Http404
    return int(text)


def _choices(execution: Execution) -> list[dict[str, object]]:
    return [
        {
            "status": status,
            "number": number,
            "is_ticked": status in steering.RETRIED_BY_DEFAULT,
        }
        for status, number in steering.retriable(execution).items()
        if status not in DeviceRun.UNENDED
    ]
