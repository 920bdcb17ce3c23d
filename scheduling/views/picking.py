"""Part of the forms that choose files, software and tasks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.http import Http404
from django.shortcuts import render

from accounts.pages import person
from accounts.pressing import by_script
from scheduling.forms import picking

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_NAME = re.compile(r"[a-z0-9_-]{1,80}")
MOST_TITLE = 100


@by_script
def catalogue_picker(request: HttpRequest) -> HttpResponse:
    """The picker that `what` and `name` in the address describe, as it is after what was typed."""
    what, name = request.GET.get("what", ""), request.GET.get("name", "")
    if what not in picking.SHELVES or not _NAME.fullmatch(name):
        raise Http404
    shown = picking.picker(
        what, name, request.POST, person(request), is_single="single" in request.GET
    )
    title = request.GET.get("title", "")[:MOST_TITLE]
    return render(request, "catalogue/_picker.html", {"picker": shown, "title": title})
