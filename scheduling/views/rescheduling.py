"""The ticked tasks get one rule: what that changes, and the changing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts.acting import back, led, refuse, sentences, way_back
from accounts.errors import InvalidInput
from accounts.pages import person, render_page
from accounts.pressing import once
from scheduling import bulk, clock, rescheduling, zones
from scheduling.forms.recurrence import RecurrenceForm, typed
from scheduling.views.submitting import preview_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    from scheduling.models import ScheduledTask
    from scheduling.rescheduling import Change

MOST_LISTED = 100


@require_http_methods(["GET", "POST"])
@login_required
@once
def task_reschedule(request: HttpRequest) -> HttpResponse:
    """Lists what changes in each; confirmed as it was listed, it is done in all of them or none."""
    user = person(request)
    try:
        tasks = bulk.selected(user, request.POST or request.GET)
    except InvalidInput as refusal:
        refuse(request, " ".join(sentences(refusal)))
        return back(request, reverse("task-list"))
    only = tasks[0] if len(tasks) == 1 else None
    form = RecurrenceForm(_typed(request, tasks[0]))
    if request.headers.get("HX-Target") == "preview":
        return render(request, "tasks/_preview.html", _preview(form, only))
    listed = _listed(request, form, tasks, user)
    if _is_confirmed(request, listed):
        try:
            rescheduling.reschedule(tasks, user, form.definition())
        except rescheduling.NotRescheduled as refusal:
            said = refusal.problems
            listed = [replace(one, problem=said.get(one.task.pk, "")) for one in listed]
        else:
            messages.success(request, _said(len(tasks)))
            return led(request, way_back(request, reverse("task-list")))
    return _show(request, form, tasks, listed)


def _typed(request: HttpRequest, first: ScheduledTask) -> Any:
    """What was typed; at first the rule of one of them."""
    if "recurrence_type" in request.POST:
        return request.POST
    names = ("recurrence_type", "recurrence_config", "time_zone")
    return MultiValueDict(typed({name: getattr(first, name) for name in names}))


def _listed(
    request: HttpRequest, form: RecurrenceForm, tasks: Sequence[ScheduledTask], user: User
) -> list[Change]:
    """Empty where what was typed is no rule; the form says why then."""
    try:
        return rescheduling.changes(tasks, user, form.definition(), now=clock.now())
    except InvalidInput as refusal:
        if request.method == "POST":
            form.refuse(refusal.errors)
        return []


def _is_confirmed(request: HttpRequest, listed: Sequence[Change]) -> bool:
    """Whether the button was pressed under this very list, and the list has nothing against it."""
    is_pressed = "confirmed" in request.POST and bool(listed)
    is_same = request.POST.get("shown") == rescheduling.digest(listed)
    return is_pressed and is_same and not any(one.problem for one in listed)


def _show(
    request: HttpRequest,
    form: RecurrenceForm,
    tasks: Sequence[ScheduledTask],
    listed: Sequence[Change],
) -> HttpResponse:
    refused = [one for one in listed if one.problem]
    context = {
        "recurrence": form,
        "zones": zones.names(),
        "preview_at": request.path,
        **_preview(form, tasks[0] if len(tasks) == 1 else None),
        "ids": " ".join(str(task.pk) for task in tasks),
        "extent": bulk.extent(tasks),
        "listed": [*refused, *(one for one in listed if not one.problem)][:MOST_LISTED],
        "more": max(0, len(listed) - MOST_LISTED),
        "refused": len(refused),
        "shown": rescheduling.digest(listed),
        "has_moved": "confirmed" in request.POST and bool(listed) and not refused,
        "next": way_back(request, reverse("task-list")),
    }
    regions = {"task-form": "tasks/_reschedule.html", "changes": "tasks/_reschedule_changes.html"}
    return render_page(request, "tasks/reschedule.html", context, regions=regions)


def _preview(form: RecurrenceForm, only: ScheduledTask | None) -> dict[str, Any]:
    """When the `only` task would run by the new rule; of several, no time at which but some of them do."""
    rule = form.definition()
    if only is not None:
        left = None if only.max_runs is None else max(only.max_runs - only.scheduled_run_count, 0)
        return preview_of(form, rescheduling.own(only) | rule, task=only, most=left)
    found = preview_of(form, rule)
    if varies := found["preview"] is not None and found["preview"].is_counted:
        found["preview"].runs.clear()
    return {**found, "preview_varies": varies}


def _said(count: int) -> str:
    said = ngettext("%(n)s task is rescheduled.", "%(n)s tasks are rescheduled.", count)
    return said % {"n": count}
