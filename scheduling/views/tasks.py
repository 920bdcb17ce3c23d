"""The list of tasks, and one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.db.models import prefetch_related_objects
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.pages import newest_first, paginate, person, render_page
from devices.agent import kinds
from scheduling import (
    charts,
    clock,
    dependencies,
    executions,
    lost_kinds,
    planning,
    schedules,
    targets,
    task_filters,
    turns,
)
from scheduling.forms import picking
from scheduling.models import Execution, ScheduledTask, TaskChange
from scheduling.views import change_words

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse, QueryDict

NEXT_RUNS = 10
LATEST_CHANGES = 5
BULK_VERBS = (
    ("task-bulk-pause", _("Pause"), "pause"),
    ("task-bulk-resume", _("Resume"), "circle-play"),
    ("task-bulk-execute", _("Execute now"), "play"),
    ("task-bulk-edit", _("Edit"), "pencil"),
    ("task-bulk-delete", _("Delete"), "trash-2"),
)


@require_safe
@login_required
def task_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    visible = ScheduledTask.objects.visible_to(user)
    visible = visible.prefetch_related("user", dependencies.named(user))
    found = task_filters.narrowed(visible, request.GET, now=clock.now())
    page = paginate(request, task_filters.ordered(found, request.GET))
    summaries = targets.summaries(page.object_list, user)
    context = {
        "page": page,
        "rows": [(task, summaries[task.pk]) for task in page.object_list],
        "execution_model": Execution,
        "stats": schedules.stats(user),
        "here": request.build_absolute_uri(),
        "bulk_verbs": BULK_VERBS,
        **_filters(request.GET),
    }
    return render_page(
        request, "tasks/list.html", context, regions={"task-list": "tasks/_list.html"}
    )


@require_safe
@login_required
def task_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user, now = person(request), clock.now()
    task = visible_task(user, pk)
    prefetch_related_objects([task], dependencies.named(user))
    seen = task.executions.visible_to(user)
    history = newest_first(request, seen.select_related("user"), size=15)
    executions.with_results(history.rows)
    context = {
        "task": task,
        "runs": planning.next_runs(task, NEXT_RUNS, now),
        "waits": turns.why(task, now),
        "summary": targets.summaries([task], user)[task.pk],
        "reach": targets.reach(task.device_ids, task.group_ids),
        "payload": payload_rows(task.task_type, task.task_payload, user),
        "history": history,
        "charts": charts.of_task(task, user),
        "changes": [(one, change_words.lines(task, one, {})) for one in _latest_changes(task)],
    }
    return render_page(
        request, "tasks/detail.html", context, regions={"task": "tasks/_detail.html"}
    )


@require_safe
@login_required
def task_changes(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Who did what to it, and what each field was and is."""
    user = person(request)
    task = visible_task(user, pk)
    history = newest_first(request, task.changes.select_related("user"))
    names = change_words.names_of(history.rows, user)
    context = {
        "task": task,
        "history": history,
        "changes": [(one, change_words.lines(task, one, names)) for one in history.rows],
    }
    return render_page(
        request, "tasks/changes.html", context, regions={"changes": "tasks/_changes.html"}
    )


def visible_task(user: User, pk: UUID) -> ScheduledTask:
    """Raises Http404 for what is not there and what is not theirs alike."""
    return get_object_or_404(ScheduledTask.objects.visible_to(user).select_related("user"), pk=pk)


def payload_rows(task_type: str, payload: dict[str, Any], user: User) -> list[tuple[str, Any]]:
    """A payload as (label, value), in the order of the kind's form, what is empty left out; ids of
    the catalogue as what they stand for. Nothing of a kind that this server does not have."""
    kind = lost_kinds.find(task_type)
    if kind is None:
        return []
    values = kind.form_values(payload)
    rows = []
    for field in kind.form_fields():
        value = values.get(field.name)
        if value in (None, "", [], {}):
            continue
        if field.widget in picking.SHELVES:
            value = picking.choices(field.widget, value, user)
        rows.append((field.label, value))
    return rows


def _filters(query: QueryDict) -> dict[str, Any]:
    """What there is to choose from, and what is chosen."""
    return {
        "chosen": task_filters.chosen(query),
        "status": query.get("status", ""),
        "sort": query.get("sort", "next"),
        "statuses": ScheduledTask.Status.choices,
        "kinds": kinds.choices(),
        "ran": task_filters.RAN,
        "due": task_filters.DUE,
        "sorts": task_filters.SORT_LABELS,
        "quick": task_filters.QUICK,
    }


def _latest_changes(task: ScheduledTask) -> QuerySet[TaskChange]:
    return task.changes.select_related("user")[:LATEST_CHANGES]
