"""The catalogue of software: everybody reads it, administrators keep it."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.db.models.functions import Lower
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.acting import succeeds
from accounts.errors import InvalidInput
from accounts.meanwhile import ChangedMeanwhile, Known
from accounts.pages import administrator, paginate, person, render_page
from accounts.pressing import once
from devices.agent.software_formats import FORMATS
from devices.models import InstalledSoftware
from scheduling.catalogue import software, sources, uses
from scheduling.forms.software import (
    SoftwareForm,
    filled,
    fresh,
    label,
    with_one_more,
    without,
)
from scheduling.models import Software, StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

MOST_CATEGORIES = 100
# Buttons that show the form again, with what they ask for, and change nothing.
LOOKS = ("look", "add_source", "remove_source")


@require_safe
@login_required
def software_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    search, category = request.GET.get("search", ""), request.GET.get("category", "")
    found = Software.objects.visible_to(user).prefetch_related("sources")
    if text := search.strip():
        found = found.filter(
            Q(name__icontains=text) | Q(publisher__icontains=text) | Q(description__icontains=text)
        )
    if category:
        found = found.filter(category=category)
    page = paginate(request, found.order_by("name", "-pk"))
    counts = _installed_counts(page.object_list, user)
    context = {
        "page": page,
        "rows": [(one, counts.get(_key(one), 0)) for one in page.object_list],
        "search": search,
        "category": category,
        "categories": _categories(),
    }
    return render_page(
        request, "software/list.html", context, regions={"software-list": "software/_list.html"}
    )


@require_safe
@login_required
def software_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    entry = visible_software(user, pk)
    there = _installed(user).filter(lower=entry.name.lower(), publisher=entry.publisher)
    context = {
        "entry": entry,
        "sources": [
            (one, FORMATS[one.format], one.os in FORMATS[one.format].tried_on)
            for one in entry.sources.select_related("file")
            if one.format in FORMATS
        ],
        "readable": {file.pk for file in _readable_files(entry, user)},
        "dependencies": entry.dependencies.order_by("name"),
        "dependents": entry.dependents.order_by("name")[:50],
        "uses": uses.of_software([entry], user)[entry.pk],
        "page": paginate(request, there.select_related("device").order_by("device__name", "pk")),
        "having": there.filter(version=entry.version).count(),
    }
    return render_page(
        request, "software/detail.html", context, regions={"software": "software/_detail.html"}
    )


@require_http_methods(["GET", "POST"])
@login_required
@once
def software_new(request: HttpRequest) -> HttpResponse:
    return _form(request, administrator(request), None)


@require_http_methods(["GET", "POST"])
@login_required
def software_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = administrator(request)
    return _form(request, user, visible_software(user, pk))


@require_http_methods(["GET", "POST"])
@login_required
@once
def software_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what needs it, or on how many devices it stays; POST deletes."""
    user = administrator(request)
    entry = visible_software(user, pk)
    if request.method == "POST":
        verb = partial(software.delete, entry, user)
        done = succeeds(request, verb, _("“%s” is deleted.") % entry)
        return redirect("software-list") if done else redirect("software", pk)
    there = _installed(user).filter(lower=entry.name.lower(), publisher=entry.publisher)
    there = there.filter(version=entry.version)
    context = {
        "entry": entry,
        "used_by": software.used_by(entry, user),
        "templates": uses.templates_naming("software_ids", entry.pk, user),
        "devices": there.count(),
    }
    return render(request, "software/delete.html", context)


def visible_software(user: User, pk: UUID) -> Software:
    return get_object_or_404(Software.objects.visible_to(user), pk=pk)


def _form(request: HttpRequest, user: User, entry: Software | None) -> HttpResponse:
    known = Known(request, entry, software.as_input, label) if entry else None
    if request.method == "GET":
        data = fresh() if entry is None else filled(entry)
        return _show(request, SoftwareForm(data, user, entry=entry), known)
    data = request.POST
    if "add_source" in data:
        data = with_one_more(data)
    elif "remove_source" in data:
        data = without(data, data["remove_source"])
    form = SoftwareForm(data, user, entry=entry)
    if any(name in request.POST for name in LOOKS):
        return _show(request, form, known)
    try:
        with known.held() if known else nullcontext():
            saved = _saved(form, user)
    except InvalidInput as refusal:
        form.refuse(refusal)
        return _show(request, form, known)
    except ChangedMeanwhile:
        return _show(request, form, known)
    messages.success(request, _("Saved. Executions under way keep what they began with."))
    return redirect(saved)


def _saved(form: SoftwareForm, user: User) -> Software:
    if form.entry is None:
        return software.create(user, form.definition())
    return software.update(form.entry, user, form.definition(), partial=False)


def _show(request: HttpRequest, form: SoftwareForm, known: Known | None) -> HttpResponse:
    context = {
        "form": form,
        "known": known,
        "entry": form.entry,
        "categories": _categories(),
        "has_room": len(form.sources) < sources.MOST_SOURCES,
    }
    return render(request, "software/form.html", context)


def _categories() -> list[str]:
    named = Software.objects.exclude(category="").order_by("category")
    return list(named.values_list("category", flat=True).distinct()[:MOST_CATEGORIES])


def _installed(user: User) -> Any:
    return InstalledSoftware.objects.visible_to(user).annotate(lower=Lower("name"))


def _installed_counts(entries: Iterable[Software], user: User) -> dict[tuple[str, str, str], int]:
    """On how many of this person's devices each name, publisher and version was seen."""
    names = {entry.name.lower() for entry in entries}
    rows = _installed(user).filter(lower__in=names).order_by()
    counted = rows.values_list("lower", "publisher", "version").annotate(n=Count("pk"))
    return {(name, publisher, version): n for name, publisher, version, n in counted}


def _key(entry: Software) -> tuple[str, str, str]:
    return entry.name.lower(), entry.publisher, entry.version


def _readable_files(entry: Software, user: User) -> Any:
    return StoredFile.objects.visible_to(user).filter(sources__software=entry)
