"""The buttons of a task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.acting import attempt, back
from accounts.pages import person
from accounts.pressing import button, once
from scheduling import bulk, schedules
from scheduling.views.tasks import visible_task

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse


@button("task")
def task_pause(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    task = visible_task(user, pk)
    attempt(request, partial(schedules.pause, task, user), _("“%s” is paused.") % task.name)
    return back(request, task.get_absolute_url())


@button("task")
def task_resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    task = visible_task(user, pk)
    attempt(request, partial(schedules.resume, task, user), _("“%s” goes on.") % task.name)
    return back(request, task.get_absolute_url())


@button("task")
def task_execute(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    task = visible_task(user, pk)
    execution = attempt(
        request, partial(schedules.execute, task, user), _("“%s” was started.") % task.name
    )
    return back(request, task.get_absolute_url()) if execution is None else redirect(execution)


@require_http_methods(["GET", "POST"])
@login_required
@once
def task_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what would be destroyed and how many devices it touches; POST does it."""
    user = person(request)
    task = visible_task(user, pk)
    if request.method == "POST":
        attempt(request, partial(schedules.delete, task, user), _("“%s” is deleted.") % task.name)
        return redirect(reverse("task-list"))
    context = {"task": task, "extent": bulk.extent([task]), "executions": task.executions.count()}
    return render(request, "tasks/delete.html", context)
