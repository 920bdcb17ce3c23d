"""Watches runs for held requests: one query a look, whatever their number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from devices.hub.threads import Threads, Unavailable
from devices.hub.wakes import hear
from scheduling import live
from scheduling.models import DeviceRun

log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 1.0
PAUSE_SECONDS = 0.05
THREADS = 2

State = tuple[str, int]
"""A run's status and how far its output goes."""


@dataclass(eq=False, slots=True)
class _Waiter:
    run_id: UUID
    seen: State | None
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """Looks while anybody waits: at every hint, and every second without one. Lives on the loop
    that serves requests."""

    def __init__(self) -> None:
        self._threads = Threads("output", THREADS)
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None
        self._hinted = asyncio.Event()

    async def state(self, run_id: UUID) -> State | None:
        """None where there is no such run, or the database does not say."""
        return (await self._states({run_id})).get(run_id)

    async def changed(self, run_id: UUID, seen: State | None, deadline: float) -> bool:
        """Whether the run is in another state than the one seen; False at the deadline, by the
        loop's clock."""
        waiter = _Waiter(run_id, seen)
        self._waiters.add(waiter)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout_at(deadline):
                await waiter.moved.wait()
        except TimeoutError:
            return False
        finally:
            self._leave(waiter)
        return True

    def _leave(self, waiter: _Waiter) -> None:
        self._waiters.discard(waiter)
        if not self._waiters and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        hearing = asyncio.create_task(
            hear(live.GROUP, on_message=self._heard, on_gap=self._hinted.set)
        )
        try:
            while True:
                await self._look_once()
                await self._pause()
        finally:
            hearing.cancel()

    async def _look_once(self) -> None:
        self._hinted.clear()
        states = await self._states({waiter.run_id for waiter in self._waiters})
        for waiter in self._waiters:
            state = states.get(waiter.run_id)
            if state is not None and state != waiter.seen:
                waiter.moved.set()

    async def _pause(self) -> None:
        """A command that writes line by line hints at every line."""
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            async with asyncio.timeout(LOOK_EVERY_SECONDS):
                await self._hinted.wait()
        except TimeoutError:
            pass

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("object") in ("run", "execution"):
            self._hinted.set()

    async def _states(self, run_ids: set[UUID]) -> dict[UUID, State]:
        try:
            return await self._threads.call(lambda: _read(run_ids))
        except Unavailable as error:
            log.warning("runs_not_watched", error=str(error))
            return {}


def _read(run_ids: Iterable[UUID]) -> dict[UUID, State]:
    rows = DeviceRun.objects.filter(pk__in=run_ids).values_list("pk", "status", "output_next")
    return {pk: (status, output_next) for pk, status, output_next in rows}
