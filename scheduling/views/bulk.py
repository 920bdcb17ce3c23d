"""One verb on the ticked tasks: a page that says what it would do, and the doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.acting import back, refuse, sentences, way_back
from accounts.errors import InvalidInput
from accounts.pages import person
from accounts.pressing import in_parts, new_key, part
from scheduling import bulk, schedules
from scheduling.forms import values
from scheduling.forms.bulk_edit import BulkEditForm

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import Promise

    from scheduling.models import ScheduledTask

MOST_NAMED = 50
MOST_TOLD = 5
_LEFT = "tasks_left"


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to each task, whom it will refuse, and how it is put; the sentences count in `n`."""

    name: str
    act: Callable[[ScheduledTask, User], object]
    foresee: Callable[[Sequence[ScheduledTask], User], list[bulk.Refusal]]
    question: Any
    button: str | Promise
    icon: str
    said: Any

    def asked(self, n: int) -> str:
        """The page's heading, of so many tasks."""
        if not n:
            return _("%s: nothing to do") % self.button
        return str(self.question % {"n": n})


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "pause",
            schedules.pause,
            bulk.cannot_pause,
            ngettext_lazy("Pause %(n)s task?", "Pause %(n)s tasks?", "n"),
            gettext_lazy("Pause"),
            "pause",
            ngettext_lazy("%(n)s task is paused.", "%(n)s tasks are paused.", "n"),
        ),
        Verb(
            "resume",
            schedules.resume,
            bulk.cannot_resume,
            ngettext_lazy("Resume %(n)s task?", "Resume %(n)s tasks?", "n"),
            gettext_lazy("Resume"),
            "circle-play",
            ngettext_lazy("%(n)s task goes on.", "%(n)s tasks go on.", "n"),
        ),
        Verb(
            "execute",
            schedules.execute,
            bulk.cannot_execute,
            ngettext_lazy("Execute %(n)s task now?", "Execute %(n)s tasks now?", "n"),
            gettext_lazy("Execute now"),
            "play",
            ngettext_lazy("%(n)s task was started.", "%(n)s tasks were started.", "n"),
        ),
        Verb(
            "delete",
            schedules.delete,
            bulk.can_all,
            ngettext_lazy("Delete %(n)s task?", "Delete %(n)s tasks?", "n"),
            gettext_lazy("Delete"),
            "trash-2",
            ngettext_lazy("%(n)s task is deleted.", "%(n)s tasks are deleted.", "n"),
        ),
    )
}
LEFT = ngettext_lazy(
    "There was no time for %(n)s task: go on with it here.",
    "There was no time for %(n)s tasks: go on with them here.",
    "n",
)
EDITED = ngettext_lazy("%(n)s task is changed.", "%(n)s tasks are changed.", "n")


@require_http_methods(["GET", "POST"])
@login_required
@in_parts
def task_bulk(request: HttpRequest, verb: str) -> HttpResponse:
    """Says how many tasks and devices it is about and what cannot be done; confirmed, it does it."""
    user = person(request)
    what = VERBS[verb]
    try:
        tasks = bulk.selected(user, _sent(request))
    except InvalidInput as refusal:
        return _not_chosen(request, refusal)
    if "confirmed" in request.POST:
        return _carried_out(request, tasks, lambda task: what.act(task, user), what.said)
    refused = what.foresee(tasks, user)
    left = {one.task.pk for one in refused}
    doable = [task for task in tasks if task.pk not in left]
    context = {
        **_about(request, doable),
        "verb": what,
        "question": what.asked(len(doable)),
        "ids": " ".join(str(task.pk) for task in doable),
        "refused": refused[:MOST_NAMED],
        "refused_count": len(refused),
    }
    return render(request, "tasks/bulk.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@in_parts
def task_bulk_edit(request: HttpRequest) -> HttpResponse:
    """The fields that make sense for many, each left as it is unless something was chosen. Where
    groups are added, it asks until it was confirmed for as many devices as the tasks would target."""
    user = person(request)
    sent = _sent(request)
    try:
        tasks = bulk.selected(user, sent)
    except InvalidInput as refusal:
        return _not_chosen(request, refusal)
    form = BulkEditForm(sent if "shown" in sent else None, user=user, tasks=tasks)
    about = _about(request, tasks)
    if "confirmed" in request.POST and form.is_valid():
        after = form.reach(tasks)
        if after.devices > _confirmed(request) and form.cleaned_data["add_groups"]:
            about |= {"extent": replace(about["extent"], reach=after), "reaches_more": True}
            return _show_edit(request, form, tasks, about)
        return _carried_out(request, tasks, partial(_edit, form, user), EDITED)
    return _show_edit(request, form, tasks, about)


def _sent(request: HttpRequest) -> QueryDict:
    """What came with the request; where there was no time for all of it, the same for what is left."""
    left = request.session.get(_LEFT)
    if request.method == "GET" and left and left["key"] == request.GET.get("left"):
        return QueryDict(left["form"])
    return request.POST or request.GET


def _carried_out(
    request: HttpRequest, tasks: Sequence[ScheduledTask], change: bulk.Change, said: Any
) -> HttpResponse:
    """Leads back, or to the page of those there was no time for."""
    outcome = bulk.carry_out(tasks, lambda task: part(request, task.pk, partial(change, task)))
    _tell(request, outcome, said)
    origin = way_back(request, reverse("task-list"))
    if not outcome.left:
        return HttpResponseRedirect(origin)
    form = request.POST.copy()
    for name in ("all", "confirmed", "task"):
        form.pop(name, None)
    form["tasks"] = " ".join(str(task.pk) for task in outcome.left)
    left = {"key": new_key(), "form": form.urlencode()}
    request.session[_LEFT] = left
    query = urlencode({"left": left["key"], "next": origin})
    return HttpResponseRedirect(f"{request.path}?{query}")


def _confirmed(request: HttpRequest) -> int:
    """How many devices the page spoke of whose button was pressed."""
    typed = values.number(request.POST.get("reach", ""))
    return typed if isinstance(typed, int) else 0


def _show_edit(
    request: HttpRequest, form: BulkEditForm, tasks: Sequence[ScheduledTask], about: dict[str, Any]
) -> HttpResponse:
    context = {**about, "form": form, "ids": " ".join(str(task.pk) for task in tasks)}
    return render(request, "tasks/bulk_edit.html", context)


def _edit(form: BulkEditForm, user: User, task: ScheduledTask) -> object:
    return schedules.update(task, user, form.changes(task), partial=True)


def _about(request: HttpRequest, tasks: Sequence[ScheduledTask]) -> dict[str, Any]:
    return {
        "extent": bulk.extent(tasks),
        "named": tasks[:MOST_NAMED],
        "more": max(0, len(tasks) - MOST_NAMED),
        "most": bulk.MOST_TASKS,
        "next": way_back(request, reverse("task-list")),
    }


def _not_chosen(request: HttpRequest, refusal: InvalidInput) -> HttpResponseRedirect:
    refuse(request, " ".join(sentences(refusal)))
    return back(request, reverse("task-list"))


def _tell(request: HttpRequest, outcome: bulk.Outcome, said: Any) -> None:
    if outcome.done:
        messages.success(request, said % {"n": len(outcome.done)})
    for one in outcome.refused[:MOST_TOLD]:
        messages.error(request, _("%(name)s: %(why)s") % {"name": one.task.name, "why": one.why})
    if (more := len(outcome.refused) - MOST_TOLD) > 0:
        messages.error(request, _("and %s more were left as they are.") % more)
    if outcome.left:
        messages.warning(request, LEFT % {"n": len(outcome.left)})
