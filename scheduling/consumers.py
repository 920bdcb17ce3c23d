"""The browsers' socket, `/ws/live`: says what changed, and never more than that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from channels.consumer import AsyncConsumer
from channels.security.websocket import OriginValidator
from django.conf import settings

from accounts.api import asgi
from devices.hub.threads import Unavailable
from scheduling import audience, live
from scheduling.board import Board, Listener

log = structlog.get_logger(__name__)
PATH = "/ws/live"
CLOSE_SIGNED_OUT = 4401
MISSED = {"missed": True}
"""Something changed and nobody can say what: the page looks as it does when it opens."""
PAUSE_SECONDS = 0.25
CHECK_SESSION_SECONDS = 30.0
"""A session may end without a word: it expires, its owner is deactivated, a password changes."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Any], Awaitable[None]]


class SignedOut(Exception):
    """Nobody is signed in at this socket, or not any more."""


class LiveConsumer(AsyncConsumer):
    """One browser page. As at the agents' socket, Channels' own `__call__` would be in the way:
    it asks the process's one database thread at every frame."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        if not _comes_from_here(scope):
            await send({"type": "websocket.close"})
            return
        session_key = asgi.cookie(dict(scope), settings.SESSION_COOKIE_NAME)
        listener = Listener(live.digest(session_key))
        self._board.join(listener)
        try:
            # An open line promises to hear of every change: the page looks once more as it opens.
            await self._board.is_joined(listener)
            await send({"type": "websocket.accept"})
            await _gone(receive, asyncio.create_task(self._tell(session_key, listener, send)))
        except SignedOut:
            await send({"type": "websocket.close", "code": CLOSE_SIGNED_OUT})
        except OSError:
            pass  # It went while it was being told.
        finally:
            self._board.leave(listener)

    async def _tell(self, session_key: str, listener: Listener, send: Send) -> None:
        """Tells of changes until cancelled. Raises SignedOut."""
        await self._heard(session_key, {})
        while True:
            try:
                async with asyncio.timeout(CHECK_SESSION_SECONDS):
                    await listener.woken.wait()
            except TimeoutError:
                pass
            if listener.is_signed_out:
                raise SignedOut
            has_missed, listener.has_missed = listener.has_missed, False
            changes = listener.take()
            known_to = {key: change.known_to for key, change in changes.items()}
            heard = sorted(await self._heard(session_key, known_to))
            if has_missed:
                await send({"type": "websocket.send", "text": json.dumps(MISSED)})
            for kind, one in heard:
                change = {"object": kind, "id": one, "version": changes[kind, one].version}
                await send({"type": "websocket.send", "text": json.dumps(change)})
            await asyncio.sleep(PAUSE_SECONDS)

    async def _heard(self, session_key: str, changes: audience.Changes) -> set[tuple[str, str]]:
        """What of the changes may be told. Raises SignedOut."""
        try:
            return await self._board.threads.call(partial(_heard, session_key, changes))
        except Unavailable:
            # The page looks for itself once a minute; a database that is away says it to nobody.
            log.warning("live_changes_dropped", changes=len(changes))
            return set()


def _heard(session_key: str, changes: audience.Changes) -> set[tuple[str, str]]:
    user = audience.listener(session_key)
    if user is None:
        raise SignedOut
    return audience.audible(user, changes)


def _comes_from_here(scope: Mapping[str, Any]) -> bool:
    """Whether the page is one of this site: a browser sends its cookies along from any page."""
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    origin = urlsplit(origins[-1]) if origins else None
    return bool(OriginValidator(None, settings.ALLOWED_HOSTS).valid_origin(origin))


async def _gone(receive: Receive, telling: asyncio.Task[None]) -> None:
    """Returns when the browser has gone, which ends the telling. Raises what ended it before."""
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({leaving, telling}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.cancel():
            telling.result()
    finally:
        leaving.cancel()
        telling.cancel()


async def _left(receive: Receive) -> None:
    """Whatever a browser may say is not listened to."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
