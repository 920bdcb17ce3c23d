"""An update while the agent goes on working: one at a time, on a thread nobody waits for."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from . import environments, updating
from .config import StateDir
from .identity import Server
from .protocol import Update
from .updating import Chosen, Offer, UpdateFailed

log = logging.getLogger("deployx_agent.updater")


class Updater:
    """`ready(chosen)` is called when another version lies installed, `failed()` when one was not
    taken and `updating.failure` says why."""

    def __init__(
        self,
        state: StateDir,
        is_idle: Callable[[], bool],
        ready: Callable[[Chosen], None],
        failed: Callable[[], None],
    ) -> None:
        self._state = state
        self._is_idle = is_idle
        self._ready = ready
        self._failed = failed
        self._is_busy = False

    def on_update(self, frame: Update, server: Server | None) -> None:
        if self._is_busy:
            return
        try:
            offer = updating.read_offer(frame, server)
        except UpdateFailed as problem:
            log.warning("an update was refused: %s", problem)
            return
        assert server is not None
        log.info("updating to %s", offer.version)
        self._is_busy = True
        arguments = (offer, server, asyncio.get_running_loop())
        threading.Thread(target=self._install, args=arguments, daemon=True).start()

    def _install(self, offer: Offer, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        try:
            chosen = environments.install(offer, server, is_idle=self._is_idle())
        except UpdateFailed as problem:
            self._give_up(offer, str(problem), loop)
        except Exception as problem:
            log.exception("the update broke")
            self._give_up(offer, f"{type(problem).__name__}: {problem}", loop)
        else:
            _tell(loop, lambda: self._ready(chosen))

    def _give_up(self, offer: Offer, why: str, loop: asyncio.AbstractEventLoop) -> None:
        try:
            updating.refuse(offer, why, self._state)
        except OSError as problem:
            log.error("cannot write down why: %s", problem)
        self._is_busy = False
        _tell(loop, self._failed)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:
        return  # the agent has ended meanwhile; what it was to hear lies on the disk
