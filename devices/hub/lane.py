"""Collects what arrives for a moment, and hands it over as one batch after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from devices.hub.threads import Unavailable

log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.02

Key = TypeVar("Key")
Item = TypeVar("Item")


class Lane(Generic[Key, Item]):
    """One batch is under way at a time, so batches keep the order things came in. An item put
    again under its key while it waits takes the place of the first: repeats cost nothing.

    A batch that meets an absent database is dropped: whoever sent it repeats it.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[dict[Key, Item]], Awaitable[None]],
        *,
        weigh: Callable[[Item], int] = lambda item: 1,
        batch_weight: int = 1_000,
        full_weight: int = 100_000,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._name = name
        self._handle = handle
        self._weigh = weigh
        self._batch_weight = batch_weight
        self._full_weight = full_weight
        self._gather_seconds = gather_seconds
        self._waiting: dict[Key, Item] = {}
        self._weight = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, key: Key, item: Item) -> None:
        if (replaced := self._waiting.get(key)) is not None:
            self._weight -= self._weigh(replaced)
        self._waiting[key] = item
        self._weight += self._weigh(item)
        self._filled.set()
        if self._weight >= self._full_weight:
            self._has_room.clear()

    def put_unless_newer(self, key: Key, item: Item) -> None:
        """Puts back what could not be handled; what came under its key meanwhile stays."""
        if key not in self._waiting:
            self.put(key, item)

    async def room(self) -> None:
        """Waits while too much is waiting: the one who sends is read no further meanwhile."""
        if not self._has_room.is_set():
            await self._has_room.wait()

    async def work(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(self._gather_seconds)
            batch = self._take()
            try:
                await self._handle(batch)
            except Unavailable as error:
                log.warning("hub_batch_dropped", lane=self._name, items=len(batch), why=str(error))
            except Exception:
                log.exception("hub_batch_failed", lane=self._name, items=len(batch))

    def _take(self) -> dict[Key, Item]:
        batch: dict[Key, Item] = {}
        weight = 0
        while self._waiting and weight < self._batch_weight:
            key = next(iter(self._waiting))
            batch[key] = item = self._waiting.pop(key)
            weight += self._weigh(item)
        self._weight -= weight
        if not self._waiting:
            self._filled.clear()
        if self._weight < self._full_weight:
            self._has_room.set()
        return batch
