"""The edge of the agent in the model: its disk, its processes and its connection.

Everything the agent does to them is noted in order, so that a crash can be put between any two.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from devices.agent import durable
from devices.agent.delivery import result_of
from devices.agent.journal import Entry, ShimMark
from devices.agent.protocol import Evidence, Frame, Limits, Outcome
from devices.agent.runner import Ending
from tests.protocol_model.frames import RUN_NUMBERS, run_id

# What a run's process is: none; waiting for its work; running; ending after a cancel; an exit
# record (exited:…); gone without one; or stray, running where nobody will ever look for it.
NONE, WAITING, RUNNING, ENDING, GONE, STRAY = (
    "none",
    "waiting",
    "running",
    "ending",
    "gone",
    "stray",
)
EXITED = "exited:"
ALIVE = frozenset({WAITING, RUNNING, ENDING, STRAY})


class Effect(NamedTuple):
    """One thing done to the outside: write, sync, prepare, release, cancel, clean or post."""

    kind: str
    what: Any = None


class Machine:
    """Processes as the Runner and the Supervisor see them, and the notes of all effects."""

    def __init__(self, processes: Collection[str]) -> None:
        self.processes = list(processes)
        self.effects: list[Effect] = []
        self.is_full = False
        self._changed = asyncio.Event()

    def note(self, kind: str, what: Any = None) -> None:
        self.effects.append(Effect(kind, what))

    # In place of devices.agent.runner.Runner.

    def prepare(self, folder: Path) -> ShimMark:
        self._do("prepare", _number(folder))
        return ShimMark(1_000 + _number(folder), "start", "boot")

    async def release(self, mark: ShimMark, work: Any) -> None:
        self._do("release", mark.pid - 1_000)

    def cancel(self, mark: ShimMark, folder: Path) -> None:
        self._do("cancel", mark.pid - 1_000)

    async def end(self, mark: ShimMark | None, folder: Path) -> Ending:
        number = _number(folder)
        while mark is not None and self.processes[number] in ALIVE - {STRAY}:
            await self._changed.wait()
            self._changed.clear()
        state = self.processes[number]
        if not state.startswith(EXITED):
            return Ending(Outcome.UNKNOWN, None, {"summary": "gone"}, 0)
        outcome = Outcome(state.removeprefix(EXITED))
        return Ending(outcome, 0 if outcome is Outcome.SUCCEEDED else 1, {"summary": "exit"}, 0)

    # In place of the Supervisor's own folders.

    def clean(self, run: str) -> None:
        self._do("clean", RUN_NUMBERS[UUID(run)])

    def sweep(self, entries: Collection[str]) -> None:
        for number in range(len(self.processes)):
            if str(run_id(number)) not in entries:
                self._do("clean", number)

    def exits(self, number: int, outcome: str) -> None:
        self.processes[number] = EXITED + outcome
        self._changed.set()

    def _do(self, kind: str, number: int) -> None:
        before = self.processes[number]
        self.processes[number] = after(kind, before)
        if kind != "clean" or before != self.processes[number]:
            self.note(kind, number)

    # The disk.

    @contextlib.contextmanager
    def disk(self) -> Iterator[None]:
        """The agent's writes and syncs are noted; a full disk takes nothing."""
        write_all, fsync = durable.write_all, os.fsync

        def write(descriptor: int, data: bytes) -> None:
            if self.is_full:
                raise OSError(errno.ENOSPC, "no room")
            write_all(descriptor, data)
            self.note("write", data)

        durable.write_all = write
        os.fsync = lambda descriptor: self.note("sync")  # type: ignore[assignment]
        try:
            yield
        finally:
            durable.write_all, os.fsync = write_all, fsync


def after(kind: str, before: str) -> str:
    """A process's state after what was done to it."""
    if kind == "prepare":
        return WAITING
    if kind == "release":
        return RUNNING if before == WAITING else before
    if kind == "cancel":
        return ENDING if before == RUNNING else before
    if kind == "clean":
        return STRAY if before in (RUNNING, ENDING, STRAY) else NONE
    return before


class ModelLine:
    """In place of devices.agent.line.Line."""

    def __init__(self, machine: Machine, session: str, number: int) -> None:
        self.session = session
        self.number = number
        self.limits = Limits()
        self._machine = machine

    def post(self, frame: Frame) -> None:
        self._machine.note("post", frame)


class ResultCourier:
    """In place of devices.agent.delivery.Courier, for runs that write nothing: output has a model
    of its own."""

    is_delivered = True

    def __init__(self, entry: Entry, spool: Path, line: Any, repeat_seconds: float) -> None:
        self._entry = entry
        self._line = line
        self._ended = asyncio.Event()
        if entry.evidence is not None:
            self._ended.set()

    def ended(self) -> None:
        self._ended.set()

    async def deliver(self, is_resumed: bool) -> None:
        await self._ended.wait()
        evidence: Evidence | None = self._entry.evidence
        assert evidence is not None
        self._line.post(result_of(self._entry.run, evidence))
        await asyncio.Event().wait()


class InlineLoop(asyncio.SelectorEventLoop):
    """A loop without threads: what they would do is done at once."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except BaseException as problem:
            future.set_exception(problem)
        return future


def _number(folder: Path) -> int:
    return RUN_NUMBERS[UUID(folder.name)]
