"""Asks a device, after a restore, what its journal and tombstones know of some runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from devices.agent import protocol
from devices.hub.link import Link, Refused

ANSWER_WITHIN_SECONDS = 30.0
NextFrame = Callable[[], Awaitable[protocol.AgentFrame]]


async def recall(
    link: Link, runs: Sequence[UUID], next_frame: NextFrame
) -> list[protocol.JournalEntry]:
    """Everything the device knows of these runs, which may be any number of them.

    Raises Refused where it says something else, or nothing for 30 s, and what `next_frame` raises.
    """
    told: list[protocol.JournalEntry] = []
    try:
        for first in range(0, len(runs), protocol.MAX_RECALLED_RUNS):
            asked = [str(run) for run in runs[first : first + protocol.MAX_RECALLED_RUNS]]
            link.send(protocol.Recall(tuple(asked)))
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                told += await _answer(frozenset(asked), next_frame)
    except TimeoutError:
        raise Refused(protocol.CLOSE_NOT_THE_PROTOCOL) from None
    return told


async def _answer(asked: frozenset[str], next_frame: NextFrame) -> list[protocol.JournalEntry]:
    told: dict[str, protocol.JournalEntry] = {}
    for _frame in range(protocol.MAX_RECALLED_RUNS):
        frame = await next_frame()
        if not isinstance(frame, protocol.Recalled):
            break
        told.update((entry.run, entry) for entry in frame.journal if entry.run in asked)
        if not frame.more:
            return list(told.values())
    raise Refused(protocol.CLOSE_NOT_THE_PROTOCOL)
