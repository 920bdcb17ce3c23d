"""A person's own keys to the API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import tokens
from accounts.acting import attempt
from accounts.errors import InvalidInput
from accounts.expiry import parse_expiry
from accounts.forms import TokenForm
from accounts.models import ApiToken
from accounts.pages import paginate, person, render_page
from accounts.pressing import leads_to, once

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
@once
def token_list(request: HttpRequest) -> HttpResponse:
    """Answers a POST with the key itself: it is kept nowhere, so no redirect could show it."""
    user = person(request)
    form = TokenForm(request.POST or None)
    key = _issue(user, form) if request.method == "POST" and form.is_valid() else None
    if key:
        leads_to(request, reverse("token-list"))
    context = {
        "form": TokenForm() if key else form,
        "key": key,
        "page": paginate(request, ApiToken.objects.filter(user=user)),
        "now": timezone.now(),
    }
    regions = {"token-list": "accounts/_tokens.html"}
    return render_page(request, "accounts/tokens.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
@once
def token_revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what stops working; POST revokes."""
    token = get_object_or_404(ApiToken, pk=pk, user=person(request))
    if request.method == "GET":
        return render(request, "accounts/revoke.html", {"token": token})
    attempt(request, partial(tokens.revoke, token), _("“%s” opens nothing now.") % token.name)
    return redirect("token-list")


def _issue(user: User, form: TokenForm) -> str | None:
    """The key; None where it was refused, and the form says why."""
    given = form.cleaned_data
    try:
        ends = parse_expiry(given["expires_at"], timezone.now()) if given["expires_at"] else None
    except ValueError as error:
        form.add_error("expires_at", str(error))
        return None
    try:
        _token, key = tokens.issue(user, given["name"], given["scopes"], ends)
    except InvalidInput as refusal:
        form.refuse(refusal)
        return None
    return key
