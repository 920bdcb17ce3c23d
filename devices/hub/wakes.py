"""Hears the hints meant for hubs. Without Redis it hears none, and polls and checks do the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from channels.layers import get_channel_layer

log = structlog.get_logger(__name__)
GROUP = "hubs"
REJOIN_SECONDS = 60.0
"""Groups expire after a day, and a Redis that was flushed or restarted has forgotten them all."""
LONGEST_PAUSE_SECONDS = 30.0


async def listen(wake: Callable[[], None]) -> None:
    """Calls `wake` for each hint and after each time the hints may have been missed, until
    cancelled."""
    pause = 1.0
    while True:
        layer = get_channel_layer()
        if layer is None:
            return
        try:
            channel = await layer.new_channel("hub")
            await layer.group_add(GROUP, channel)
            wake()
            pause = 1.0
            await _listen_a_while(layer, channel, wake)
        except Exception as error:
            log.warning("hub_hints_unavailable", error=type(error).__name__, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _listen_a_while(layer: Any, channel: str, wake: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    rejoin_at = loop.time() + REJOIN_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(rejoin_at):
                await layer.receive(channel)
            wake()
        except TimeoutError:
            await layer.group_add(GROUP, channel)
            rejoin_at = loop.time() + REJOIN_SECONDS
