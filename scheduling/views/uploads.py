"""Uploads that a person has begun: how far they are, and giving one up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.acting import succeeds
from accounts.pages import person
from accounts.pressing import once
from scheduling import clock
from scheduling.catalogue import uploads
from scheduling.models import Upload

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


def uploads_under_way(user: User) -> list[tuple[Upload, datetime]]:
    """This person's own, the newest first; of each when its last piece came."""
    found = Upload.objects.visible_to(user).open(clock.now()).order_by("-pk")
    return [(one, uploads.last_at(one)) for one in found]


@require_http_methods(["GET", "POST"])
@login_required
@once
def upload_cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says how much of it is lost; POST gives it up."""
    upload = Upload.objects.visible_to(person(request)).select_related("file").filter(pk=pk).first()
    if upload is None:
        return render(request, "files/no_upload.html", status=404)
    if request.method == "POST":
        said = _("The upload of “%s” is cancelled.") % upload.name
        succeeds(request, partial(uploads.give_up, upload), said)
        return redirect("file-list")
    if upload.file is not None:
        messages.info(request, _("The upload is complete."))
        return redirect(upload.file)
    return render(request, "files/cancel_upload.html", {"upload": upload})
