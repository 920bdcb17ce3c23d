"""Refuses a request body that is too large before anything reads it.

Django spools a whole body to a file before a view sees it, whatever its size and whoever sends it;
nginx refuses large ones in production, but the system also runs without it. What may be larger has
to come from somebody who is known, and only so much of it is read at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from django.conf import settings

from accounts.api import asgi
from accounts.api.asgi import Application, Headers, Message, Receive, Scope, Send
from deployx import credentials
from devices.hub.threads import Threads, Unavailable
from scheduling.catalogue.uploads import PIECE_BYTES

MAX_BODY_BYTES = 2 * 1024 * 1024
LARGEST_AT_ONCE = 4
"""A form lies in the temporary folder twice, as it comes and as the file that is in it."""
THREADS = 2
RETRY_AFTER_SECONDS = 5
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
        self._room = LARGEST_AT_ONCE * max(self._larger.values(), default=0)
        self._threads = Threads("credentials", THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        most, announced = self._most_of(scope), _announced(scope)
        if announced is not None and announced > most:
            await _refuse(send, 413, "The request is too large.")
        elif most <= self._most or (announced is not None and announced <= self._most):
            await self._counted(scope, receive, send, min(most, self._most))
        else:
            await self._large(scope, receive, send, most if announced is None else announced)

    async def _large(self, scope: Scope, receive: Receive, send: Send, size: int) -> None:
        try:
            is_known = await self._threads.call(partial(credentials.are_valid, scope))
        except Unavailable:
            await _later(send, "The database does not answer at the moment.")
            return
        if not is_known and _announced(scope) is not None:
            detail = "Only who is signed in, or comes with a token, may send so much."
            await _refuse(send, 401, detail, [(b"www-authenticate", b'Bearer realm="api"')])
        elif not is_known:
            await self._counted(scope, receive, send, self._most)
        elif size > self._room:
            await _later(send, "Too much is being uploaded; try again in a moment.")
        else:
            self._room -= size
            try:
                await self._counted(scope, receive, send, size)
            finally:
                self._room += size

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
            await _refuse(send, 413, "The request is too large.")


def _is_at(path: str, place: str) -> bool:
    """Whether it is this very path or, where that ends with a slash, one below it."""
    return path.startswith(place) if place.endswith("/") else path == place


def _announced(scope: Scope) -> int | None:
    """The Content-Length, which the server has checked; None where the body comes in chunks."""
    if asgi.header(scope, b"transfer-encoding"):
        return None
    length = asgi.header(scope, b"content-length")
    return int(length) if length.isdecimal() else 0


async def _later(send: Send, detail: str) -> None:
    await _refuse(send, 503, detail, [(b"retry-after", str(RETRY_AFTER_SECONDS).encode())])


async def _refuse(send: Send, status: int, detail: str, headers: Headers | None = None) -> None:
    """What the client may still have to send is not waited for."""
    await asgi.answer(send, status, detail, [*(headers or []), (b"connection", b"close")])
