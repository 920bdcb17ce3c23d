"""What a task's form comes to, wherever it stands: on its page, in the dialog, where one deploys."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.acting import led
from accounts.errors import InvalidInput, NotAllowed
from accounts.meanwhile import ChangedMeanwhile
from accounts.pages import identifier, person
from accounts.pressing import act
from scheduling import clock, schedules, zones
from scheduling.forms import payload
from scheduling.forms.targets import pickers
from scheduling.forms.task import choose, fresh
from scheduling.views import change_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    from scheduling.forms import TaskForm
    from scheduling.forms.payload import Typed
    from scheduling.forms.recurrence import RecurrenceForm
    from scheduling.models import Execution, ScheduledTask

    Show = Callable[[HttpRequest, TaskForm], HttpResponse]

# Buttons that show the form again, with what they ask for, and change nothing.
LOOKS = ("look", "device_page", "group_page")
PREVIEW_RUNS = 5


def submitted(request: HttpRequest, form: TaskForm, show: Show) -> HttpResponse:
    """Runs it at once, schedules it or saves it, as the button says; what is refused shows again."""
    if any(name in request.POST for name in LOOKS):
        return show(request, form)
    return act(request, lambda: _done(request, form, show), request.get_full_path())


def _done(request: HttpRequest, form: TaskForm, show: Show) -> HttpResponse:
    try:
        made, said = _made(request, form)
    except InvalidInput as refusal:
        form.refuse(refusal.errors)
    except NotAllowed as refusal:
        form.other_errors.append(refusal.detail)
    except ChangedMeanwhile:
        pass  # the form says so
    else:
        messages.success(request, said)
        return led(request, made)
    return show(request, form)


def asked_for(request: HttpRequest) -> Typed:
    """The fields of a form nobody has typed into, with what the address names chosen: `?device=`,
    `?group=`, `?file=` and `?software=`, and a kind's fields by the names they have in the form,
    such as `?command-commands=`. Raises Http404 for what is no id."""
    data = fresh()
    for name in payload.names():
        if name in request.GET:
            data.setlist(name, request.GET.getlist(name))
    for kind in ("device", "group"):
        data.setlist(f"{kind}_ids", _asked(request, kind))
    for name, what in (("file", "files"), ("software", "software")):
        if ids := _asked(request, name):
            choose(data, what, ids)
    return data


def context_of(request: HttpRequest, form: TaskForm) -> dict[str, Any]:
    """What the parts of the form show."""
    user = person(request)
    form.look_up(user)
    return {
        "form": form,
        "task": form.task,
        "pickers": pickers(form.data, user),
        "zones": zones.names(),
        "known": form.known,
        "changes": _changes(form, user),
        "preview_at": reverse("task-preview") + (f"?task={form.task.pk}" if form.task else ""),
        **preview_of_task(form),
    }


def preview_of_task(form: TaskForm) -> dict[str, Any]:
    """When the task would run, as the form is filled in."""
    rule = form.recurrence_definition()
    return preview_of(form.recurrence, rule, task=form.task, most=form.runs_left)


def preview_of(
    form: RecurrenceForm,
    rule: dict[str, Any],
    *,
    task: ScheduledTask | None = None,
    most: int | None = None,
) -> dict[str, Any]:
    """The rule in words and its next runs, or what is wrong with it; those of a `task` that gets it,
    and at `most` so many."""
    try:
        preview = schedules.preview({**rule, "count": PREVIEW_RUNS}, now=clock.now(), task=task)
    except InvalidInput as refusal:
        return {"preview": None, "preview_errors": form.sentences(refusal.errors)}
    del preview.runs[PREVIEW_RUNS if most is None else most :]
    if task is not None and task.is_paused:
        preview.warnings.insert(
            0, _("It is paused: none of these runs starts until it is resumed.")
        )
    return {"preview": preview, "preview_zone": rule["time_zone"]}


def _changes(form: TaskForm, user: User) -> list[Any]:
    """What others made meanwhile of the fields that they changed."""
    if form.task is None or form.known is None or not form.known.changed:
        return []
    return change_words.latest(form.task, form.known.changed, user)


def _made(request: HttpRequest, form: TaskForm) -> tuple[Execution | ScheduledTask, str]:
    """What the pressed button made of the form, and what to say of it."""
    user = person(request)
    if form.task is not None:
        with form.known.held() if form.known else nullcontext():
            task = schedules.update(form.task, user, form.definition(), partial=True)
        return task, _("Saved. An execution under way keeps what it began with.")
    if "execute_now" in request.POST:
        return schedules.execute_now(user, form.run_definition()), _("Started.")
    task = schedules.create(user, form.definition())
    return task, _("“%s” is scheduled.") % task.name


def _asked(request: HttpRequest, name: str) -> list[str]:
    ids = request.GET.getlist(name)
    if any(identifier(one) is None for one in ids):
        raise Http404
    return ids
