"""Refuses a request that is said to be written in anything but UTF-8.

Django would read its parameters and its form by any codec that Python has under that name, some of which
are none for texts at all.
"""

from __future__ import annotations

from django.utils.http import parse_header_parameters

from accounts.api import asgi
from accounts.api.asgi import Application, Receive, Scope, Send

ACCEPTED = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


class Utf8Alone:
    """ASGI: what says nothing of a charset, or says UTF-8, goes to `inner`."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _charset(scope) not in ACCEPTED:
            await asgi.answer(send, 415, "Only UTF-8 is read.")
        else:
            await self._inner(scope, receive, send)


def _charset(scope: Scope) -> str:
    lines = [value for name, value in scope["headers"] if name == b"content-type"]
    try:
        # Joined as Django joins them, which would fail at what it cannot read.
        _type, parameters = parse_header_parameters(b",".join(lines).decode("latin-1"))
    except ValueError:
        return "unreadable"
    return str(parameters.get("charset", "")).lower()
