"""A run's output and, after all of it, its result, on their way to the server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from .journal import Entry
from .line import Line
from .protocol import (
    OUTPUT_CHUNK_BYTES,
    OUTPUT_CHUNK_SECONDS,
    Evidence,
    Output,
    Result,
    Stream,
)
from .spool import HEAD, Chunk, SpoolReader

_LOOK_SECONDS = 0.04
_STUCK_SECONDS = 10.0


class Courier:
    """For one run in one session. Begins at what the server says it has, keeps at most the
    window under way, goes back where the server missed something, and repeats the result until
    somebody cancels `deliver` because it was acknowledged."""

    def __init__(self, entry: Entry, spool: Path, line: Line, repeat_seconds: float) -> None:
        self._entry = entry
        self._reader = SpoolReader(spool)
        self._line = line
        self._repeat = repeat_seconds
        self._acked = 0
        self._sent = 0
        self._went_back_at = 0.0
        self._answered = asyncio.Event()
        self._ended = asyncio.Event()
        if entry.evidence is not None:
            self._ended.set()

    def ended(self) -> None:
        """The entry has its evidence now."""
        self._ended.set()

    def acknowledged(self, upto: int) -> None:
        if upto > self._acked:
            self._acked = upto
            self._reader.release(upto)
            if upto > self._sent:
                self._go_to(upto)
        elif upto < self._acked or self._may_go_back():
            self._went_back_at = time.monotonic()
            self._acked = upto
            self._go_to(upto)
        self._answered.set()

    async def deliver(self, is_resumed: bool) -> None:
        """`is_resumed`: the server may have some of the output already, so ask first."""
        try:
            if is_resumed and not self.is_delivered:
                await self._ask()
            await self._stream()
            assert self._entry.evidence is not None
            while True:
                self._line.post(result_of(self._entry.run, self._entry.evidence))
                await asyncio.sleep(self._repeat)
        finally:
            self._reader.close()

    @property
    def is_delivered(self) -> bool:
        """Whether the server has all output there will be."""
        return self._ended.is_set() and self._acked >= self._entry.output_end

    async def _ask(self) -> None:
        self._answered.clear()
        while not self._answered.is_set():
            self._line.post(Output(self._entry.run, 0, Stream.STDOUT, b""))
            await self._wait(self._answered, self._repeat)

    async def _stream(self) -> None:
        flushed_at = 0.0
        while not self.is_delivered:
            available = self._reader.available()
            is_due = time.monotonic() - flushed_at >= OUTPUT_CHUNK_SECONDS
            if available and (is_due or available >= OUTPUT_CHUNK_BYTES or self._ended.is_set()):
                flushed_at = time.monotonic()
                if await self._flush(available):
                    continue
            if self._ended.is_set():
                await self._finish()
            else:
                await self._wait(self._ended, _LOOK_SECONDS)

    async def _flush(self, amount: int) -> bool:
        """Send what was there when we looked; False when none of it could be read."""
        has_sent = False
        while amount > 0:
            room = await self._room()
            chunk = self._reader.read(min(OUTPUT_CHUNK_BYTES, room))
            if chunk is None:
                break
            amount -= len(chunk.data) + HEAD.size
            await self._send(chunk)
            has_sent = True
        return has_sent

    async def _finish(self) -> None:
        """All is read: say what was dropped at the very end, and wait for what is under way."""
        end = self._entry.output_end
        if self._sent < end:
            await self._send(Chunk(end, "stdout", b"", end - self._sent))
        if not self.is_delivered:
            await self._await_progress()

    async def _send(self, chunk: Chunk) -> None:
        self._sent = chunk.end
        frame = Output(
            self._entry.run, chunk.offset, Stream(chunk.stream), chunk.data, chunk.skipped
        )
        await self._line.post_output(frame, len(chunk.data))

    async def _room(self) -> int:
        """How much may be sent before the window is full; waits until that is something."""
        window = max(1, self._line.limits.output_window_bytes)
        while (room := window - (self._sent - self._acked)) <= 0:
            await self._await_progress()
        return room

    async def _await_progress(self) -> None:
        self._answered.clear()
        await self._wait(self._answered, _STUCK_SECONDS)
        if not self._answered.is_set():
            self._go_to(self._acked)

    def _may_go_back(self) -> bool:
        """The same answer twice, with frames under way: the first of them was refused. The
        others will be too and say so each, so once in a while is enough."""
        return self._sent > self._acked and time.monotonic() - self._went_back_at > 1.0

    def _go_to(self, offset: int) -> None:
        self._reader.seek(offset)
        self._sent = offset

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)


def result_of(run: str, evidence: Evidence) -> Result:
    return Result(
        run,
        evidence.outcome,
        evidence.exit_code,
        evidence.detail,
        evidence.output_length,
        evidence.output_sha256,
    )
