"""Planning a task: the form, on its page or in the dialog, its live preview and its targets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.acting import led, refuse
from accounts.meanwhile import Known
from accounts.pages import identifier, person, render_page
from accounts.pressing import by_script
from scheduling import changes, lost_kinds
from scheduling.forms import TaskForm, template
from scheduling.forms.targets import pickers
from scheduling.forms.task import Original, filled, without_kind
from scheduling.models import ScheduledTask, TaskTemplate
from scheduling.views import change_words
from scheduling.views.submitting import asked_for, context_of, preview_of_task, submitted
from scheduling.views.tasks import visible_task
from scheduling.views.templates import visible_template

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from scheduling.forms.payload import Typed


@require_http_methods(["GET", "POST"])
@login_required
def task_new(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _show(request, _begun(request))
    return submitted(request, TaskForm(request.POST, original=_original(request)), _show)


@require_http_methods(["GET", "POST"])
@login_required
def task_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    task = visible_task(person(request), pk)
    if lost_kinds.is_lost(task.task_type):
        refuse(request, lost_kinds.sentence(task.task_type))
        return led(request, task)
    form = TaskForm(filled(task) if request.method == "GET" else request.POST, task=task)
    form.known = Known(request, task, _typed_of, partial(change_words.label, task))
    if request.method == "GET":
        return _show(request, form)
    return submitted(request, form, _show)


@by_script
def task_preview(request: HttpRequest) -> HttpResponse:
    """Of a new task, or of the one that `?task=` names."""
    chosen = identifier(request.GET.get("task", ""))
    task = visible_task(person(request), chosen) if chosen else None
    if task and lost_kinds.is_lost(task.task_type):
        said = [lost_kinds.sentence(task.task_type)]
        return render(request, "tasks/_preview.html", {"preview_errors": said})
    form = TaskForm(request.POST, task=task)
    return render(request, "tasks/_preview.html", preview_of_task(form))


@by_script
def task_needing(request: HttpRequest) -> HttpResponse:
    """What needs the software that the form, as it is filled in, takes off the devices."""
    needing = TaskForm(request.POST).left_without(person(request))
    return render(request, "tasks/_needing.html", {"needing": needing})


@by_script
def task_targets(request: HttpRequest) -> HttpResponse:
    context = {"pickers": pickers(request.POST, person(request))}
    return render(request, "tasks/_targets.html", context)


def _typed_of(task: ScheduledTask) -> Mapping[str, Any]:
    """What can be typed of it."""
    return {name: one for name, one in changes.snapshot(task).items() if name != "user_id"}


def _begun(request: HttpRequest) -> TaskForm:
    data = _at_first(request)
    kind = data.get("task_type", "")
    if not kind or not lost_kinds.is_lost(kind):
        return TaskForm(data)
    form = TaskForm(without_kind(data))
    form.lost_kind = lost_kinds.choose_anew(kind)
    return form


def _at_first(request: HttpRequest) -> Typed:
    """What the address asks for, a copy of the task that `?from=` names, or what the template that
    `?template=` names begins with."""
    if chosen := identifier(request.GET.get("template", "")):
        return template.typed(visible_template(person(request), chosen))
    original = identifier(request.GET.get("from", ""))
    if original is None:
        return asked_for(request)
    task = visible_task(person(request), original)
    data = filled(task)
    data["name"] = _("Copy of %s") % task.name
    return data


def _original(request: HttpRequest) -> Original | None:
    """What the form began with, where it is still there."""
    user = person(request)
    if chosen := identifier(request.GET.get("template", "")):
        found = TaskTemplate.objects.visible_to(user).filter(pk=chosen).first()
        return template.original(found) if found else None
    chosen = identifier(request.GET.get("from", ""))
    task = ScheduledTask.objects.visible_to(user).filter(pk=chosen).first() if chosen else None
    return Original.of(task) if task else None


def _show(request: HttpRequest, form: TaskForm) -> HttpResponse:
    return render_page(
        request,
        "tasks/form.html",
        context_of(request, form),
        regions={"task-form": "tasks/_dialog.html"},
    )
