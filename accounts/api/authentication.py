"""Who asks: the bearer of a token, or the person of a browser session (DRF's, with CSRF)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from accounts import tokens
from accounts.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from rest_framework.request import Request


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer dpx_…`. The token becomes `request.auth`.

    It comes first, so that a request without credentials is answered 401 with `WWW-Authenticate`.
    """

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _space, key = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = tokens.find(key.strip().decode("ascii", "replace"))
        if token is None:
            raise AuthenticationFailed(_("The token is not valid."))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def person(request: Request) -> User:
    """Whoever asks; for views behind `IsAuthenticated`."""
    assert request.user.is_authenticated
    return request.user
