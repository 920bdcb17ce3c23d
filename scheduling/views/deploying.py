"""The pages on which somebody chooses what and where, and then runs or schedules it: one for each
kind, whatever its fields are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.views.decorators.http import require_http_methods

from accounts.pages import render_page
from devices.agent import kinds
from scheduling import kind_pages
from scheduling.forms import TaskForm
from scheduling.views.files import file_list
from scheduling.views.software import software_list
from scheduling.views.submitting import asked_for, context_of, submitted

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "POST"])
@login_required
def deploy(request: HttpRequest, kind: str) -> HttpResponse:
    try:
        chosen = kinds.get(kind)
    except kinds.UnknownKind:
        raise Http404 from None
    if request.method == "GET":
        return _show(request, TaskForm(asked_for(request), kind=chosen))
    return submitted(request, TaskForm(request.POST, kind=chosen), _show)


def files(request: HttpRequest) -> HttpResponse:
    return deploy(request, "file_deployment") if _deploys(request) else file_list(request)


def software(request: HttpRequest) -> HttpResponse:
    return deploy(request, "software_deployment") if _deploys(request) else software_list(request)


def _deploys(request: HttpRequest) -> bool:
    """Whether something of the catalogue was chosen there, or the button that leads on pressed."""
    return request.method == "POST" or any(
        name in request.GET for name in ("deploy", "file", "software")
    )


def _show(request: HttpRequest, form: TaskForm) -> HttpResponse:
    assert form.only_kind is not None
    context = {
        **context_of(request, form),
        "title": kind_pages.title(form.only_kind),
        "address": kind_pages.address(form.only_kind),
    }
    return render_page(
        request, "deploy/deploy.html", context, regions={"task-form": "deploy/_form.html"}
    )
