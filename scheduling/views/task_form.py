"""Planning a task: the form, its live preview and its pickers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.errors import InvalidInput, NotAllowed
from accounts.pages import identifier, person
from scheduling import clock, schedules, zones
from scheduling.forms import TaskForm
from scheduling.forms.targets import pickers
from scheduling.forms.task import choose, filled, fresh
from scheduling.views.tasks import visible_task

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


# Buttons that show the form again, with what they ask for, and change nothing.
LOOKS = ("look", "device_page", "group_page")
PREVIEW_RUNS = 5


@require_http_methods(["GET", "POST"])
@login_required
def task_new(request: HttpRequest) -> HttpResponse:
    user = person(request)
    if request.method == "GET":
        return _show(request, _new_form(request, user))
    form = TaskForm(request.POST)
    if _only_looks(request):
        return _show(request, form)
    try:
        if "execute_now" in request.POST:
            execution = schedules.execute_now(user, form.definition())
            messages.success(request, _("Started."))
            return redirect(execution)
        task = schedules.create(user, form.definition())
    except InvalidInput as refusal:
        form.refuse(refusal.errors)
        return _show(request, form)
    except NotAllowed as refusal:
        form.other_errors.append(refusal.detail)
        return _show(request, form)
    messages.success(request, _("“%s” is scheduled.") % task.name)
    return redirect(task)


@require_http_methods(["GET", "POST"])
@login_required
def task_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    task = visible_task(user, pk)
    if request.method == "GET":
        return _show(request, TaskForm(filled(task), task=task))
    form = TaskForm(request.POST, task=task)
    if _only_looks(request):
        return _show(request, form)
    try:
        schedules.update(task, user, form.definition(), partial=True)
    except InvalidInput as refusal:
        form.refuse(refusal.errors)
    except NotAllowed as refusal:
        form.other_errors.append(refusal.detail)
    else:
        messages.success(request, _("Saved. An execution under way keeps what it began with."))
        return redirect(task)
    return _show(request, form)


@require_POST
@login_required
def task_preview(request: HttpRequest) -> HttpResponse:
    return render(request, "tasks/_preview.html", _preview(TaskForm(request.POST)))


@require_POST
@login_required
def task_targets(request: HttpRequest) -> HttpResponse:
    context = {"pickers": pickers(request.POST, person(request))}
    return render(request, "tasks/_targets.html", context)


def _new_form(request: HttpRequest, user: User) -> TaskForm:
    """Empty, or as a copy of the task that `?from=` names; `?device=`, `?group=`, `?file=` and
    `?software=` are chosen."""
    data = fresh()
    if original := identifier(request.GET.get("from", "")):
        task = visible_task(user, original)
        data = filled(task)
        data["name"] = _("Copy of %s") % task.name
    for kind in ("device", "group"):
        for one in _asked(request, kind):
            data.appendlist(f"{kind}_ids", one)
    for name, what in (("file", "files"), ("software", "software")):
        if ids := _asked(request, name):
            choose(data, what, ids)
    return TaskForm(data)


def _asked(request: HttpRequest, name: str) -> list[str]:
    """The ids that the address names. Raises Http404 for what is none."""
    ids = request.GET.getlist(name)
    if any(identifier(one) is None for one in ids):
        raise Http404
    return ids


def _only_looks(request: HttpRequest) -> bool:
    return any(name in request.POST for name in LOOKS)


def _show(request: HttpRequest, form: TaskForm) -> HttpResponse:
    form.look_up(person(request))
    context = {
        "form": form,
        "task": form.task,
        "pickers": pickers(form.data, person(request)),
        "zones": zones.names(),
        **_preview(form),
    }
    return render(request, "tasks/form.html", context)


def _preview(form: TaskForm) -> dict[str, Any]:
    """The rule in words and its next runs, or what is wrong with it."""
    try:
        preview = schedules.preview(
            {**form.recurrence_definition(), "count": PREVIEW_RUNS}, now=clock.now()
        )
    except InvalidInput as refusal:
        return {"preview": None, "preview_errors": _all_messages(refusal)}
    return {"preview": preview, "preview_zone": form.data.get("time_zone", "UTC")}


def _all_messages(refusal: InvalidInput) -> list[str]:
    return [message for messages_ in refusal.errors.values() for message in messages_]
