"""Refuses a request body that is too large before anything reads it.

Django spools a whole body to a file before a view sees it, whatever its size; nginx refuses large
ones in production, but the system also runs without it.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from accounts.api import asgi
from accounts.api.asgi import Application, Message, Receive, Scope, Send
from scheduling.catalogue.uploads import PIECE_BYTES

MAX_BODY_BYTES = 2 * 1024 * 1024
_FORM_AROUND_FILE = 64 * 1024
# (method, how the path begins): what may be larger, and how large.
LARGER_BODIES: dict[tuple[str, str], int] = {
    ("PATCH", "/api/files/uploads/"): PIECE_BYTES,
    ("POST", "/api/files"): settings.DEPLOYX_UPLOAD_FORM_BYTES + _FORM_AROUND_FILE,
    ("POST", "/files/new"): settings.DEPLOYX_UPLOAD_FORM_BYTES + _FORM_AROUND_FILE,
}


class TooLarge(Exception):
    """More came than was announced, or than may come unannounced."""


class BodyLimit:
    """ASGI: everything goes to `inner`, bodies of at most `most` bytes, or what `larger` says."""

    def __init__(
        self,
        inner: Application,
        *,
        most: int = MAX_BODY_BYTES,
        larger: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._inner = inner
        self._most = most
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
        elif _announced(scope) > (most := self._most_of(scope)):
            await _refuse(send)
        else:
            await self._counted(scope, receive, send, most)

    def _most_of(self, scope: Scope) -> int:
        for (method, path), most in self._larger.items():
            if scope["method"] == method and _is_at(scope["path"], path):
                return most
        return self._most

    async def _counted(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        received, has_answered = 0, False

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise TooLarge
            return message

        async def noting(message: Message) -> None:
            nonlocal has_answered
            has_answered = True
            await send(message)

        try:
            await self._inner(scope, counting, noting)
        except TooLarge:
            if has_answered:
                raise
            await _refuse(send)


def _is_at(path: str, place: str) -> bool:
    """Whether it is this very path or, where that ends with a slash, one below it."""
    return path.startswith(place) if place.endswith("/") else path == place


def _announced(scope: Scope) -> int:
    """The Content-Length, which the server has checked; 0 where the body comes in chunks."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _refuse(send: Send) -> None:
    await asgi.answer(send, 413, "The request is too large.", [(b"connection", b"close")])
