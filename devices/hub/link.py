"""One agent's live connection, as the hub holds it. 10,000 of them sit idle: keep it small."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import Any

from devices.agent import protocol
from devices.ledger_port import Session

Message = Mapping[str, Any]
Sending = Coroutine[Any, Any, None]
Send = Callable[[Any], Sending]
BACKED_UP = 100
GOING_AWAY = 1001
GONE = (OSError, RuntimeError)
"""The other end is; RuntimeError is the server's word for it after a close."""


class Refused(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class Link:
    """`session` is set once the device has proved who it is; `is_open` once it was welcomed;
    `heard_at` and `written_at` are the loop's time; `known_keys` are the ids of the signing keys it
    was told of, one object for many. Made by the task that reads the socket."""

    __slots__ = (
        "_outbox",
        "_reader",
        "_send",
        "_writer",
        "cancels",
        "closed_with",
        "heard_at",
        "is_open",
        "is_ready",
        "known_keys",
        "session",
        "tokens",
        "written_at",
    )

    def __init__(self, send: Send, now: float) -> None:
        self._send = send
        self._reader = asyncio.current_task()
        self._outbox: deque[Message] | None = None
        self._writer: asyncio.Task[None] | None = None
        self.session: Session | None = None
        self.is_open = False
        self.is_ready = True
        self.known_keys: frozenset[str] = frozenset()
        self.cancels: tuple[str, ...] = ()
        self.closed_with: int | None = None
        self.heard_at = now
        self.written_at = now
        self.tokens = float(protocol.FRAMES_BURST)

    def hears(self, now: float) -> None:
        """Counts an arrived frame. Raises Refused when the agent sends too fast."""
        earned = (now - self.heard_at) * protocol.FRAMES_PER_SECOND
        self.tokens = min(float(protocol.FRAMES_BURST), self.tokens + earned) - 1
        self.heard_at = now
        if self.tokens < 0:
            raise Refused(protocol.CLOSE_TOO_FAST)

    def send(self, frame: protocol.ServerFrame) -> None:
        """Never waits: a slow reader holds up nobody but itself."""
        if self.closed_with is None:
            self._post({"type": "websocket.send", "text": protocol.encode(frame)})

    def close(self, code: int) -> None:
        if self.closed_with is None:
            self.closed_with = code
            self._post({"type": "websocket.close", "code": code})

    def abandon(self) -> None:
        """Ends a connection whose other end has been silent for too long."""
        if self._writer is None:
            self.close(GOING_AWAY)
            return
        # It does not read either: no close frame would get through, so nobody waits for it.
        self.closed_with = GOING_AWAY
        self._writer.cancel()
        if self._reader is not None:
            self._reader.cancel()

    @property
    def is_backed_up(self) -> bool:
        return self._outbox is not None and len(self._outbox) > BACKED_UP

    async def drained(self) -> None:
        """Waits until everything posted was handed to the transport, or cannot be."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    def _post(self, message: Message) -> None:
        """Nearly always the transport takes it at once: then no task is made for it."""
        if self._outbox is not None:
            self._outbox.append(message)
            return
        sending = self._send(message)
        try:
            awaited = sending.send(None)
        except StopIteration:
            return
        except GONE:
            return
        self._outbox = deque()
        self._writer = asyncio.create_task(self._write(_rest(sending, awaited)))

    async def _write(self, begun: Sending) -> None:
        try:
            await begun
            while self._outbox:
                await self._send(self._outbox.popleft())
        except GONE:
            pass
        finally:
            self._writer = self._outbox = None


@types.coroutine
def _rest(sending: Sending, awaited: Any) -> Generator[Any, Any, None]:
    """What is left of a coroutine that was begun outside any task and waits for this future."""
    try:
        yield awaited
    except BaseException:
        sending.close()
        raise
    yield from sending
