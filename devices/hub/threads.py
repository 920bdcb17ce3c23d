"""A consumer's own threads for the database; the default is one thread for a whole process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

log = structlog.get_logger(__name__)
THREADS = 4

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Unavailable(Exception):
    """The database is away or too slow; nothing may be acknowledged."""


class Threads:
    def __init__(self, name: str = "hub", number: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)

    async def call(self, work: Callable[[], Answer]) -> Answer:
        """The work's answer from a thread with a connection of its own; raises Unavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _connected, work)
        except (OperationalError, InterfaceError) as error:
            raise Unavailable(str(error).partition("\n")[0]) from error

    async def call_each(
        self, work: Callable[[Sequence[Item]], list[Answer]], items: Sequence[Item]
    ) -> list[Answer]:
        """The answers for a batch. Where one item breaks it (an agent sent what the database
        refuses), halves are tried, so that only that item goes without an answer."""
        try:
            return await self.call(lambda: work(items))
        except Unavailable:
            raise
        except Exception:
            if len(items) == 1:
                log.exception("hub_item_failed", work=getattr(work, "__name__", repr(work)))
                return []
        middle = len(items) // 2
        first = await self.call_each(work, items[:middle])
        return first + await self.call_each(work, items[middle:])

    async def close(self) -> None:
        """Waits for what is under way."""
        await asyncio.to_thread(self._pool.shutdown)


def _connected(work: Callable[[], Answer]) -> Answer:
    # With psycopg's pool and CONN_MAX_AGE 0, closing gives the connection back to the pool.
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()
