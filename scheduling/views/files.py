"""Stored files: what there is, bringing one in, describing it, taking it away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.acting import succeeds
from accounts.errors import InvalidInput, Unavailable
from accounts.meanwhile import ChangedMeanwhile, Known
from accounts.pages import paginate, person, render_page
from accounts.pressing import act, in_parts, once
from scheduling.catalogue import files, uploads, uses
from scheduling.forms.files import FileForm, UploadForm
from scheduling.models import DeviceRun, Execution, StoredFile
from scheduling.views.uploads import uploads_under_way

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

SORTS = {
    "newest": ("-pk",),
    "name": ("name", "-pk"),
    "largest": ("-blob__size", "-pk"),
}
SORT_LABELS = (
    ("newest", gettext_lazy("Newest")),
    ("name", gettext_lazy("Name")),
    ("largest", gettext_lazy("Largest")),
)


@require_safe
@login_required
def file_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    search, sort = request.GET.get("search", ""), request.GET.get("sort", "")
    found = StoredFile.objects.visible_to(user).select_related("blob", "user")
    if search.strip():
        found = found.filter(name__icontains=search.strip())
    page = paginate(request, found.order_by(*SORTS.get(sort, SORTS["newest"])))
    used = uses.of_files(page.object_list, user)
    context = {
        "page": page,
        "rows": [(file, used[file.pk]) for file in page.object_list],
        "uploads": uploads_under_way(user),
        "search": search,
        "sort": sort,
        "sorts": SORT_LABELS,
    }
    regions = {"file-list": "files/_list.html", "uploads": "files/_uploads.html"}
    return render_page(request, "files/list.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
@in_parts
def file_new(request: HttpRequest) -> HttpResponse:
    """Takes one file of moderate size whole; the page's script brings any file in pieces instead."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        answer = _stored(request, form)
        if answer is not None:
            return answer
    context = {
        "form": form,
        "form_bytes": settings.DEPLOYX_UPLOAD_FORM_BYTES,
        "most_bytes": settings.DEPLOYX_UPLOAD_BYTES,
        "piece_bytes": uploads.PIECE_BYTES,
    }
    return render(request, "files/new.html", context)


@require_safe
@login_required
def file_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    file = visible_file(user, pk)
    executions = Execution.objects.visible_to(user).filter(blobs__blob=file.blob_id)
    context = {
        "file": file,
        "uses": uses.of_files([file], user)[file.pk],
        "executions": executions.select_related("user").order_by("-pk")[:5],
    }
    return render_page(
        request, "files/detail.html", context, regions={"file": "files/_detail.html"}
    )


@require_http_methods(["GET", "POST"])
@login_required
def file_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    file = visible_file(user, pk)
    form = FileForm(request.POST or None, initial=_typed(file))
    known = Known(request, file, _typed, form.label)
    if request.method == "POST" and form.is_valid():
        try:
            with known.held():
                files.update(file, user, form.cleaned_data)
        except InvalidInput as refusal:
            form.refuse(refusal)
        except ChangedMeanwhile:
            pass  # the page says so
        else:
            messages.success(request, _("Saved."))
            return redirect(file)
    context = {"form": form, "file": visible_file(user, pk), "known": known}
    return render(request, "files/edit.html", context)


@require_http_methods(["GET", "POST"])
@login_required
@once
def file_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what uses it, or what would be destroyed; POST deletes."""
    user = person(request)
    file = visible_file(user, pk)
    if request.method == "POST":
        verb = partial(files.delete, file, user)
        done = succeeds(request, verb, _("“%s” is deleted.") % file.name)
        return redirect("file-list") if done else redirect("file", pk)
    runs = DeviceRun.objects.visible_to(user).unended()
    fetching = runs.filter(execution__blobs__blob=file.blob_id).count()
    context = {
        "file": file,
        "used_by": files.used_by(file, user),
        "templates": uses.templates_naming("file_ids", file.pk, user),
        "fetching": fetching,
    }
    return render(request, "files/delete.html", context)


def visible_file(user: User, pk: UUID) -> StoredFile:
    """Raises Http404 for what is not there and what is not theirs alike."""
    visible = StoredFile.objects.visible_to(user).select_related("blob", "user")
    return get_object_or_404(visible, pk=pk)


def _typed(file: StoredFile) -> dict[str, str]:
    return {"name": file.name, "description": file.description}


def _stored(request: HttpRequest, form: UploadForm) -> HttpResponse | None:
    """Leads to the file, or None and the form says why not."""
    part = form.cleaned_data["file"]
    if not isinstance(part, UploadedFile):
        form.add_error("file", _("Choose a file."))
        return None
    given = {
        "name": form.cleaned_data["name"] or part.name or "file",
        "description": form.cleaned_data["description"],
    }
    try:
        values = files.check(given)
        with files.drafted(person(request), part.chunks(), part.size or 0) as draft:
            return act(request, partial(_adopted, request, values, draft), request.path)
    except InvalidInput as refusal:
        form.refuse(refusal)
    except files.TooLarge as refusal:
        form.add_error("file", str(refusal))
    except Unavailable as refusal:
        form.add_error("file", refusal.detail)
    return None


def _adopted(request: HttpRequest, values: dict[str, str], draft: files.Draft) -> HttpResponse:
    file = files.adopt(person(request), values, draft)
    messages.success(request, _("“%s” is stored.") % file.name)
    return redirect(file)
