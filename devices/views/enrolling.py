"""How a machine is added: a token, shown once, and the line to copy."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.acting import attempt
from accounts.errors import InvalidInput
from accounts.expiry import parse_expiry
from accounts.pages import administrator, paginate, render_page
from accounts.pressing import leads_to, once
from devices import arrivals, enrollment, installing, keys
from devices.agent import protocol
from devices.forms import EnrollmentForm
from devices.models import EnrollmentToken

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
@once
def device_new(request: HttpRequest) -> HttpResponse:
    """Answers a POST with the token itself: it is kept nowhere, so no redirect could show it."""
    user = administrator(request)
    form = EnrollmentForm(request.POST or None, user=user, initial=_asked(request))
    token = _issue(user, form) if request.method == "POST" and form.is_valid() else None
    if token:
        leads_to(request, reverse("device-new"))
    issued = EnrollmentToken.objects.visible_to(user).select_related("group", "created_by")
    fingerprint = _fingerprint()
    context = {
        "form": EnrollmentForm(user=user) if token else form,
        "token": token,
        "server": installing.server(),
        "fingerprint": fingerprint,
        "line": installing.line("deployx.token", fingerprint),
        "wheel": installing.wheel_address(),
        "page": paginate(request, issued),
        "arrivals": arrivals.of(user, now=timezone.now()),
    }
    regions = {
        "arrivals": "devices/_arrivals.html",
        "enrollment-tokens": "devices/_tokens.html",
    }
    return render_page(request, "devices/new.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
@once
def enrollment_token_revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says who is let in no more; POST revokes."""
    user = administrator(request)
    token = get_object_or_404(EnrollmentToken.objects.visible_to(user), pk=pk)
    if request.method == "GET":
        left = max(token.uses_limit - token.uses_count, 0)
        return render(request, "devices/revoke_token.html", {"token": token, "left": left})
    attempt(request, partial(enrollment.revoke, token, user), _("The token lets nobody in now."))
    return redirect("device-new")


def _asked(request: HttpRequest) -> dict[str, Any]:
    return {"group": request.GET["group"]} if "group" in request.GET else {}


def _issue(user: User, form: EnrollmentForm) -> str | None:
    """The token's text; None where it was refused, and the form says why."""
    given = form.cleaned_data
    now = timezone.now()
    ends = _ends(form, given["expires_at"], now)
    if ends is None:
        return None
    try:
        _token, text = enrollment.issue(
            given["group"], given["uses_limit"], ends - now, given["name"], created_by=user
        )
    except InvalidInput as refusal:
        form.refuse(refusal)
        return None
    return text


def _ends(form: EnrollmentForm, typed: str, now: datetime) -> datetime | None:
    try:
        return parse_expiry(typed, now)
    except ValueError as error:
        form.add_error("expires_at", str(error))
        return None


def _fingerprint() -> str | None:
    """Of the key agents are to trust; None until a worker has made one."""
    try:
        return protocol.fingerprint(keys.current_public_key())
    except keys.SigningKeyError:
        return None
