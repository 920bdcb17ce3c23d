"""`GET …/runs/{id}/output?wait=`: holds the request until there is more, beside Django.

A view that waits, even an async one, holds a thread. Here a held request is a coroutine: Django is
asked once at the start and once more when the run has moved on, so that authentication, visibility
and errors are the view's own; in between it owns neither a thread nor a database connection.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs
from uuid import UUID

from accounts.api import asgi
from accounts.api.asgi import Application, Message, Receive, Scope, Send
from scheduling.api.runs import FINISHED, MOST_WAIT_SECONDS, NEXT_OFFSET
from scheduling.api.watch import Watch

MOST_HELD = 500
ASKED_AT_ONCE = 4
"""However many watch one run: its next line must not take every thread and connection there is."""
RETRY_AFTER_SECONDS = 5
_PATH = re.compile(r"/api/schedule/runs/([0-9a-f-]{36})/output")


class HeldOutput:
    """ASGI: everything goes to `inner`; answers with nothing new in them are held back."""

    def __init__(self, inner: Application, *, most_held: int = MOST_HELD) -> None:
        self._inner = inner
        self._most_held = most_held
        self._held = 0
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)
        self._watch = Watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = _wanted(scope)
        if wanted is None:
            await self._inner(scope, receive, send)
        elif self._held >= self._most_held:
            await asgi.answer(
                send,
                503,
                "Too many requests are held; ask again without wait.",
                [(b"retry-after", str(RETRY_AFTER_SECONDS).encode())],
            )
        else:
            self._held += 1
            try:
                await self._hold(scope, receive, send, *wanted)
            finally:
                self._held -= 1

    async def _hold(
        self, scope: Scope, receive: Receive, send: Send, run_id: UUID, seconds: int
    ) -> None:
        answering = asyncio.create_task(self._answer(scope, run_id, seconds))
        leaving = asyncio.create_task(asgi.left(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                for message in answering.result():
                    await send(message)
        finally:
            answering.cancel()
            leaving.cancel()

    async def _answer(self, scope: Scope, run_id: UUID, seconds: int) -> list[Message]:
        """The first answer with something new in it, or the last one in this time."""
        offset = _numbers(scope, "offset")
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            seen = await self._watch.state(run_id)
            messages = await self._ask(scope)
            if _says_something(messages, offset):
                return messages
            if not await self._watch.changed(run_id, seen, deadline):
                return messages

    async def _ask(self, scope: Scope) -> list[Message]:
        messages: list[Message] = []
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()  # nobody leaves before the answer is there
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        async with self._asking:
            await self._inner(dict(scope), receive, send)
        return messages


def _wanted(scope: Scope) -> tuple[UUID, int] | None:
    """The run, and for how long the answer may be held; None where it is not to be held."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    match = _PATH.fullmatch(scope["path"])
    seconds = _numbers(scope, "wait") if match else None
    if match is None or not seconds or seconds > MOST_WAIT_SECONDS:
        return None
    try:
        return UUID(match[1]), seconds
    except ValueError:
        return None


def _numbers(scope: Scope, name: str) -> int | None:
    """The whole number a query parameter gives; None for what the view will refuse, or 0."""
    (text,) = parse_qs(scope["query_string"].decode("latin-1")).get(name, ["0"])[-1:]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _says_something(messages: list[Message], offset: int | None) -> bool:
    """Refusals do; so do the end of the output and every byte after `offset`."""
    start = messages[0]
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    if start["status"] != 200:
        return True
    if headers.get(FINISHED.lower()) != "false":
        return True
    return headers.get(NEXT_OFFSET.lower()) != str(offset)
