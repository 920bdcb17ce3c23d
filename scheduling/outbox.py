"""Sends a process's hints from a thread of its own: whoever commits does not wait for Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from asgiref.sync import async_to_sync

log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.02
CLOSE_WITHIN_SECONDS = 3.0
MOST_WAITING = 1_000
_here = threading.local()


class Outbox:
    """What waits, the same hint once. While Redis hangs no more than so many wait; the rest is lost,
    as hints may be."""

    def __init__(self) -> None:
        self._waiting: dict[str, partial[None]] = {}
        self._is_over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="hints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, send: partial[None]) -> None:
        key = f"{send.func.__name__}{send.args}"
        with self._changed:
            if len(self._waiting) < MOST_WAITING or key in self._waiting:
                self._waiting[key] = send
                self._changed.notify()

    def close(self) -> None:
        """Sends what waits, for 3 s at most."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(CLOSE_WITHIN_SECONDS)

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            _here.runner = runner
            while sends := self._take():
                for send in sends:
                    _attempt(send)
                self._gather()

    def _take(self) -> list[partial[None]]:
        """None once it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            taken, self._waiting = list(self._waiting.values()), {}
            return taken

    def _gather(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over, GATHER_SECONDS)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine from synchronous code: on an outbox's thread always on the same loop, so that
    the channel layer keeps its connections."""
    runner: asyncio.Runner | None = getattr(_here, "runner", None)
    if runner is None:
        async_to_sync(work)()
    else:
        runner.run(work())


def _attempt(send: partial[None]) -> None:
    try:
        send()
    except Exception:
        log.exception("hint_failed", hint=send.func.__name__)
