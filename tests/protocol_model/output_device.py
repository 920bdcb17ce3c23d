"""P6, the device's half: a real spool on its disk and the real courier, one event at a time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from devices.agent.delivery import Courier
from devices.agent.journal import Entry
from devices.agent.protocol import Evidence, JournalState, Limits, Outcome, Output, Result
from devices.agent.spool import SpoolReader, SpoolWriter
from tests.protocol_model.frames import run_id
from tests.protocol_model.machine import InlineLoop

WINDOW = 4
# What the command wrote; three bytes in its middle and two at its end fell out of the spool.
WRITTEN = (("stdout", b"abc"), ("stderr", b"d"), (None, b"..."), ("stdout", b"efgh"), (None, b".."))
BYTES = b"".join(data for _, data in WRITTEN)
STREAMS = [stream for stream, data in WRITTEN for _byte in data]
END = len(BYTES)
SPOOLED = b"".join(data for stream, data in WRITTEN if stream)
DIGEST = hashlib.sha256(SPOOLED).hexdigest()
_TURNS = 40


class Sending(NamedTuple):
    """What the courier knows: the offsets acknowledged and sent, whether it still asks where to
    begin, whether it has posted the result; and the segments that the spool still has."""

    acked: int = 0
    sent: int = 0
    is_asking: bool = False
    segments: frozenset[str] = frozenset()


Frames = frozenset[Any]


class OutputDevice:
    def __init__(self, folder: Path) -> None:
        self._master = folder / "written"
        self._spool = folder / "spool"
        self._loop = InlineLoop()
        self._steps: dict[tuple[Any, ...], tuple[Sending, Frames]] = {}
        _write(self._master)

    def close(self) -> None:
        self._loop.close()

    def begin(self) -> Sending:
        names = frozenset(path.name for path in self._master.iterdir())
        return Sending(segments=names)

    def restarted(self, state: Sending) -> Sending:
        """Another agent, on the same spool: it asks where the server is."""
        return Sending(is_asking=True, segments=state.segments)

    def step(self, state: Sending, word: str, what: int = 0) -> tuple[Sending, Frames]:
        """`goes_on`; `acknowledged` where it went back long ago, or `acknowledged_again` where it
        has just; `stuck` when nothing has been acknowledged for long."""
        key = (state, word, what)
        if key not in self._steps:
            self._steps[key] = self._loop.run_until_complete(self._take(state, word, what))
        return self._steps[key]

    async def _take(self, state: Sending, word: str, what: int) -> tuple[Sending, Frames]:
        self._restore(state)
        posted: list[Any] = []
        courier = _courier(state, self._spool, posted)
        task = asyncio.get_running_loop().create_task(courier.deliver(state.is_asking))
        await _settled()
        is_asking = state.is_asking
        if word.startswith("acknowledged"):
            courier._went_back_at = time.monotonic() if word.endswith("again") else 0.0
            courier.acknowledged(what)
            is_asking = False
            await _settled()
        elif word == "stuck":
            courier._answered.clear()
            task = await _again(task, courier, is_asking)
        after = Sending(courier._acked, courier._sent, is_asking, self._segments())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return after, frozenset(posted)

    def _restore(self, state: Sending) -> None:
        shutil.rmtree(self._spool, ignore_errors=True)
        self._spool.mkdir()
        for name in state.segments:
            shutil.copy(self._master / name, self._spool / name)

    def _segments(self) -> frozenset[str]:
        return frozenset(p.name for p in self._spool.iterdir() if len(p.name) == 16)


def _courier(state: Sending, spool: Path, posted: list[Any]) -> Courier:
    evidence = Evidence(Outcome.SUCCEEDED, 0, {}, len(SPOOLED), DIGEST)
    entry = Entry(str(run_id(0)), JournalState.ENDED, evidence=evidence, output_end=END)
    courier = Courier(entry, spool, _Line(posted), 1e9)  # type: ignore[arg-type]
    courier._acked, courier._sent = state.acked, state.sent
    courier._reader.seek(state.sent)
    return courier


async def _again(task: asyncio.Task[None], courier: Courier, is_asking: bool) -> Any:
    """The same courier after a wait in vain: its wait ends at once, this one time."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    courier._reader = SpoolReader(courier._reader._folder)
    courier._reader.seek(courier._sent)
    waits = iter((True,))

    async def wait(event: asyncio.Event, seconds: float) -> None:
        if next(waits, False):
            return
        await event.wait()

    with mock.patch.object(courier, "_wait", wait):
        task = asyncio.get_running_loop().create_task(courier.deliver(is_asking))
        await _settled()
    return task


class _Line:
    def __init__(self, posted: list[Any]) -> None:
        self.limits = Limits(output_window_bytes=WINDOW)
        self._posted = posted

    def post(self, frame: Output | Result) -> None:
        if isinstance(frame, Result):
            self._posted.append("result")
        else:
            self._posted.append((frame.offset, frame.stream.value, frame.data, frame.skipped))

    async def post_output(self, frame: Output, size: int) -> None:
        self.post(frame)
        await asyncio.sleep(0)


def _write(folder: Path) -> None:
    """By the shim's own writer; each record in a segment of its own."""
    writer = SpoolWriter(folder, 1_000_000)
    writer._segment_bytes = 1
    for stream, data in WRITTEN:
        if stream:
            writer.append(stream, data)
        elif writer.end + len(data) < END:
            writer.end += len(data)
            assert writer._write(b"g", writer.end - len(data), b"", len(data))
    writer.close()


async def _settled() -> None:
    for _turn in range(_TURNS):
        await asyncio.sleep(0)
