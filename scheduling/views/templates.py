"""Templates of tasks: those there are, one of them, keeping a task as one, taking one away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.acting import succeeds
from accounts.errors import InvalidInput, NotAllowed
from accounts.meanwhile import ChangedMeanwhile, Known
from accounts.pages import paginate, person, render_page
from accounts.pressing import once
from scheduling import templates
from scheduling.forms.template import NewTemplateForm, TemplateForm
from scheduling.models import TaskTemplate
from scheduling.views import change_words
from scheduling.views.tasks import payload_rows, visible_task

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    from scheduling.models import ScheduledTask

OWN_FIELDS = ("name", "description", "shared")


@require_safe
@login_required
def template_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    search = request.GET.get("search", "").strip()
    found = TaskTemplate.objects.visible_to(user).select_related("user")
    page = paginate(request, found.filter(name__icontains=search) if search else found)
    rows = [(one, templates.may_change(one, user)) for one in page.object_list]
    context = {"page": page, "rows": rows, "search": search}
    regions = {"template-list": "templates/_list.html"}
    return render_page(request, "templates/list.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
def template_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What it holds; its owner and administrators rename and share it here."""
    user = person(request)
    template = visible_template(user, pk)
    form = TemplateForm(request.POST or None, initial=_own(template))
    known = Known(request, template, _own, form.label)
    if request.method == "POST" and form.is_valid() and _saved(request, form, template, known):
        return redirect(template)
    definition = template.definition
    payload = definition.get("task_payload")
    context = {
        "template": visible_template(user, pk),
        "form": form,
        "known": known,
        "may_change": templates.may_change(template, user),
        "schedule": change_words.sentence(definition) if "recurrence_config" in definition else "",
        "payload": payload_rows(template.task_type, payload, user) if payload else [],
    }
    regions = {"template": "templates/_detail.html"}
    return render_page(request, "templates/detail.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
@once
def template_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    template = visible_template(user, pk)
    if request.method == "POST":
        verb = partial(templates.delete, template, user)
        done = succeeds(request, verb, _("“%s” is deleted.") % template.name)
        return redirect("template-list") if done else redirect("template", pk)
    return render(request, "templates/delete.html", {"template": template})


@require_http_methods(["GET", "POST"])
@login_required
@once
def task_template(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Keeps a task as a template."""
    task = visible_task(person(request), pk)
    given = {"name": task.name, "description": task.description}
    form = NewTemplateForm(request.POST or None, initial=given)
    if request.method == "POST" and form.is_valid():
        made = _kept(request, form, task)
        if made is not None:
            messages.success(request, _("“%s” is kept as a template.") % made.name)
            return redirect("template-list")
    return render(request, "templates/new.html", {"task": task, "form": form})


def visible_template(user: User, pk: UUID) -> TaskTemplate:
    """Raises Http404 for what is not there and what is not theirs alike."""
    visible = TaskTemplate.objects.visible_to(user).select_related("user")
    return get_object_or_404(visible, pk=pk)


def _own(template: TaskTemplate) -> dict[str, object]:
    return {name: getattr(template, name) for name in OWN_FIELDS}


def _saved(request: HttpRequest, form: TemplateForm, template: TaskTemplate, known: Known) -> bool:
    """Whether the page is done with; where nothing was saved yet, the form says why."""
    try:
        with known.held():
            templates.update(template, person(request), form.cleaned_data, partial=True)
    except InvalidInput as refusal:
        form.refuse(refusal)
        return False
    except ChangedMeanwhile:
        return False
    except NotAllowed as refusal:
        messages.error(request, refusal.detail)
    else:
        messages.success(request, _("Saved."))
    return True


def _kept(request: HttpRequest, form: NewTemplateForm, task: ScheduledTask) -> TaskTemplate | None:
    """The template, or None and the form says why not."""
    chosen = form.cleaned_data
    left_out = [
        *(() if chosen["with_targets"] else templates.WHERE),
        *(() if chosen["with_schedule"] else templates.WHEN),
    ]
    given = templates.of_task(task, leave_out=left_out) | {
        name: chosen[name] for name in OWN_FIELDS
    }
    try:
        return templates.create(person(request), given)
    except InvalidInput as refusal:
        form.refuse(refusal)
        return None
