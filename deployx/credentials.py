"""Whether anybody comes with a request, before Django reads any of it."""

from __future__ import annotations

from django.conf import settings

from accounts import tokens
from accounts.api import asgi
from scheduling import audience


def are_valid(scope: asgi.Scope) -> bool:
    """A token or a session of somebody who may sign in; what they may do, the view decides. Asks the
    database."""
    scheme, _space, token = asgi.header(scope, b"authorization").partition(" ")
    if scheme.lower() == "bearer":
        return tokens.find(token.strip()) is not None
    session_key = asgi.cookie(scope, settings.SESSION_COOKIE_NAME)
    return session_key.isalnum() and audience.listener(session_key) is not None
