"""A forgotten password: by mail, where this server sends any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account.views import PasswordResetView
from django.conf import settings
from django.shortcuts import render
from django.views.decorators.cache import never_cache

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
by_mail = PasswordResetView.as_view()


@never_cache
def reset(request: HttpRequest) -> HttpResponseBase:
    """Without mail no link is made: whoever reads it elsewhere, in a log, could take the account."""
    if settings.EMAIL_BACKEND == NO_MAIL:
        return render(request, "account/password_reset_by_hand.html")
    answer: HttpResponseBase = by_mail(request)
    return answer
