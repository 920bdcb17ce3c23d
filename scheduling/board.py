"""What this web process hears of changes, once, for all the browsers connected to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

from devices.hub.threads import Threads
from devices.hub.wakes import hear
from scheduling import live

THREADS = 2
JOIN_SECONDS = 2.0
MOST_CHANGES = 500


class Change(NamedTuple):
    """What is told of an object; `known_to` are people who saw it before it changed."""

    version: int
    known_to: frozenset[int]


class Listener:
    """A browser's socket: what changed since it was last told, the same thing once."""

    def __init__(self, session_digest: str) -> None:
        self.session_digest = session_digest
        self.is_signed_out = False
        self.has_missed = False
        self.woken = asyncio.Event()
        self._changes: dict[tuple[str, str], Change] = {}

    def add(self, kind: str, ids: list[str], change: Change) -> None:
        """Beyond what is kept, changes are left to the page's own look once a minute."""
        for key in ((kind, one) for one in ids):
            if (before := self._changes.get(key)) is not None:
                self._changes[key] = Change(change.version, before.known_to | change.known_to)
            elif len(self._changes) < MOST_CHANGES:
                self._changes[key] = change
        self.woken.set()

    def look_again(self) -> None:
        """What changed may not have been heard here: the page is to look at all it shows."""
        self.has_missed = True
        self.woken.set()

    def take(self) -> dict[tuple[str, str], Change]:
        self.woken.clear()
        taken, self._changes = self._changes, {}
        return taken


class Board:
    """Listens while anybody is there to be told. Lives on the loop that serves the sockets.
    What is said before `is_listening` is not heard."""

    def __init__(self) -> None:
        self.threads = Threads("live", THREADS)
        self._listeners: set[Listener] = set()
        self._hearing: asyncio.Task[None] | None = None
        self.is_listening = asyncio.Event()

    def join(self, listener: Listener) -> None:
        self._listeners.add(listener)
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(
                hear(live.GROUP, on_message=self.hear, on_gap=self._begin_listening)
            )

    async def is_joined(self, listener: Listener) -> None:
        """Returns once whatever is said is heard, or where that takes too long to wait for. What was
        missed by then, the page sees as it opens."""
        with suppress(TimeoutError):
            async with asyncio.timeout(JOIN_SECONDS):
                await self.is_listening.wait()
        listener.has_missed = False

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None
            self.is_listening.clear()

    def _begin_listening(self) -> None:
        self.is_listening.set()
        for listener in self._listeners:
            listener.look_again()

    def hear(self, message: dict[str, Any]) -> None:
        for listener in self._listeners:
            if message["type"] == live.CHANGED:
                change = Change(message["version"], frozenset(message.get("known_to", ())))
                listener.add(message["object"], message["ids"], change)
            elif message["session"] == listener.session_digest:
                listener.is_signed_out = True
                listener.woken.set()
