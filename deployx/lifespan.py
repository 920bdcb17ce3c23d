"""What a web process does beside answering: its hub, and its sign of life."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections

from devices.hub import Hub
from scheduling import heartbeats, hints

if sys.platform != "win32":
    import resource

log = structlog.get_logger(__name__)
HEARTBEAT_SECONDS = 5.0

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Any], Awaitable[None]]


class Lifespan:
    """The ASGI application for the scope `lifespan`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._beating: asyncio.Task[None] | None = None

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        _allow_open_files()
        gc.collect()
        gc.freeze()
        hints.begin_sending_aside()
        await self._hub.start()
        self._beating = asyncio.create_task(self._beat())

    async def _stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        await self._hub.stop()
        await asyncio.to_thread(hints.end_sending_aside)
        await self._say(heartbeats.forget)

    async def _beat(self) -> None:
        word = heartbeats.begin
        while True:
            if await self._say(word):
                word = heartbeats.record
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _say(self, word: Callable[[str, str], None]) -> bool:
        try:
            await asyncio.to_thread(_connected, word, self._name)
        except (DatabaseError, InterfaceError) as error:
            log.warning("heartbeat_not_written", error=type(error).__name__)
            return False
        return True


def _allow_open_files() -> None:
    """As many as this process may ever have: each agent and each open page is one, and of the 1,024
    that are usual there would soon be none left."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS names a hard limit that its kernel does not grant
        log.warning("open_files_not_raised", soft=soft, hard=hard)


def _connected(word: Callable[[str, str], None], name: str) -> None:
    try:
        word("web", name)
    finally:
        close_old_connections()
