"""Hears hints, those meant for hubs first. Without Redis it hears none, and polls do the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from channels.layers import get_channel_layer

log = structlog.get_logger(__name__)
GROUP = "hubs"
OFFER = "hub.offer"
REJOIN_SECONDS = 60.0
"""Groups expire after a day, and a Redis that was flushed or restarted has forgotten them all."""
LONGEST_PAUSE_SECONDS = 30.0
CANCEL_AGAIN_SECONDS = 0.05
Answer = TypeVar("Answer")


async def listen(*, wake: Callable[[], None], offer: Callable[[], None]) -> None:
    """Calls `offer` where runs wait to be granted, and `wake` for every other hint and after each
    time that hints may have been missed, until cancelled."""

    def on_message(message: dict[str, Any]) -> None:
        (offer if message["type"] == OFFER else wake)()

    await hear(GROUP, on_message=on_message, on_gap=wake)


async def hear(
    group: str, *, on_message: Callable[[dict[str, Any]], None], on_gap: Callable[[], None]
) -> None:
    """Hands over each message to a group, until cancelled; `on_gap` is called at first and whenever
    messages may have been missed."""
    pause = 1.0
    while True:
        layer = get_channel_layer()
        if layer is None:
            return
        try:
            # Under the layer's own prefix: it reads one queue of a process at a time, so that who
            # listens under another prefix waits for ever.
            channel = await layer.new_channel()
            await _interruptible(layer.group_add(group, channel))
            on_gap()
            pause = 1.0
            await _hear_a_while(layer, group, channel, on_message)
        except Exception as error:
            log.warning("hints_unavailable", group=group, error=type(error).__name__, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _hear_a_while(
    layer: Any, group: str, channel: str, on_message: Callable[[dict[str, Any]], None]
) -> None:
    loop = asyncio.get_running_loop()
    rejoin_at = loop.time() + REJOIN_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(rejoin_at):
                message = await _interruptible(layer.receive(channel))
            on_message(message)
        except TimeoutError:
            await _interruptible(layer.group_add(group, channel))
            rejoin_at = loop.time() + REJOIN_SECONDS


async def _interruptible(work: Coroutine[Any, Any, Answer]) -> Answer:
    """The work's answer, or its end when we are cancelled. redis-py swallows a cancellation that
    meets it while it connects, and then waits on for a message: it is cancelled until it has ended,
    or it would hold up the end of the loop for a minute."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        while not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task}, timeout=CANCEL_AGAIN_SECONDS)
        raise
    return task.result()
