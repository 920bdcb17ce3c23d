"""One live connection as the rest of the agent sees it: frames out, at a pace the server bears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from .protocol import FRAMES_PER_SECOND, Frame, Limits, encode

_BURST_FRAMES = 100
_OUTPUT_FRAMES_PER_SECOND = 30
_OUTPUT_BURST_FRAMES = 60


class Bucket:
    """A token bucket that may go into debt: `take` sleeps the debt off."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._rate = per_second
        self._burst = burst
        self._tokens = burst
        self._at = time.monotonic()

    async def take(self, amount: float) -> None:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._tokens -= amount
        self._at = now
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._rate)


class Line:
    """Frames in the order they were posted. A session is known by `session` once welcomed."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._queue: asyncio.Queue[Frame] = asyncio.Queue()
        self._frames = Bucket(FRAMES_PER_SECOND * 0.9, _BURST_FRAMES)
        self._outputs = Bucket(_OUTPUT_FRAMES_PER_SECOND, _OUTPUT_BURST_FRAMES)
        self.session = ""
        self.limits = Limits()
        self._bytes = Bucket(1, 1)

    def open(self, session: str, limits: Limits) -> None:
        self.session = session
        self.limits = limits
        rate = max(1024, limits.output_bytes_per_second)
        self._bytes = Bucket(rate, rate)

    def post(self, frame: Frame) -> None:
        self._queue.put_nowait(frame)

    async def post_output(self, frame: Frame, size: int) -> None:
        """Waits its turn, so that a flood of output never delays the other frames."""
        await self._outputs.take(1)
        await self._bytes.take(size)
        self._queue.put_nowait(frame)

    async def write(self) -> None:
        """Send what is posted, for as long as the connection lives."""
        while True:
            frame = await self._queue.get()
            await self._frames.take(1)
            await self._send(encode(frame))
            self._queue.task_done()

    async def flush(self) -> None:
        await self._queue.join()
