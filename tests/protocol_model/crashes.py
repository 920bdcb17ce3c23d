"""What a step of the device came to, and every way in which a crash could have cut it short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from devices.agent import protocol
from tests.protocol_model import machine as machines
from tests.protocol_model.frames import RUN_NUMBERS, Frame
from tests.protocol_model.machine import Effect


class _Fields(NamedTuple):
    file: bytes = b""
    synced: int = 0
    processes: tuple[str, ...] = (machines.NONE,)
    is_up: bool = True
    session: int = 0
    is_open: bool = False
    lives: tuple[tuple[Any, ...], ...] = ()
    rejects: frozenset[int] = frozenset()
    givebacks: frozenset[int] = frozenset()
    is_stopping: bool = False


class DeviceState(_Fields):
    """`file` is the journal as programs read it, of which the first `synced` bytes outlive a power
    cut. `session` is 0 without a connection; until it `is_open` the agent waits for its welcome.
    `lives` are the flags the agent keeps in memory for each entry of its journal."""

    _hash: int | None = None

    def __hash__(self) -> int:
        # Looked up a hundred thousand times for each time that one is made.
        if self._hash is None:
            self._hash = super().__hash__()
        return self._hash


class Step(NamedTuple):
    """What one step does: the state after it, the frames sent, and for each run what really
    happened: `started` for a released process, `journaled:…` for a recorded outcome."""

    state: DeviceState
    frames: tuple[Frame, ...]
    facts: tuple[tuple[int, str], ...]
    has_failed: bool = False


class Cut(NamedTuple):
    """A step that a crash has cut short, in words."""

    how: str
    step: Step


def synced_bytes(before: DeviceState, effects: list[Effect]) -> int:
    length, synced = len(_whole_lines(before.file)), before.synced
    for effect in effects:
        if effect.kind == "write":
            length += len(effect.what)
        elif effect.kind == "sync":
            synced = length
    return min(synced, length)


def _whole_lines(file: bytes) -> bytes:
    return file[: file.rfind(b"\n") + 1]


def step_of(state: DeviceState, effects: list[Effect], session: int, has_failed: bool) -> Step:
    return Step(state, _frames(effects, session), _facts(effects), has_failed)


def _frames(effects: list[Effect], session: int) -> tuple[Frame, ...]:
    posted = (_framed(effect.what, session) for effect in effects if effect.kind == "post")
    return tuple(dict.fromkeys(posted))


def _framed(frame: Any, session: int) -> Frame:
    if isinstance(frame, tuple):
        return Frame(frame[0], session, -1, frame[1])
    if isinstance(frame, protocol.Result):
        return Frame("result", session, _run(frame.run), frame.outcome.value)
    if isinstance(frame, protocol.Giveback):
        return Frame("giveback", session, _run(frame.run))
    return Frame(type(frame).__name__.lower(), session, _run(frame.run))


def _facts(effects: list[Effect]) -> tuple[tuple[int, str], ...]:
    facts = []
    for effect in effects:
        if effect.kind == "release":
            facts.append((effect.what, "started"))
        elif effect.kind == "write" and written(effect.what) == "ended":
            facts.append(_recorded(effect.what))
    return tuple(facts)


def _recorded(line: bytes) -> tuple[int, str]:
    record = json.loads(line.partition(b" ")[2])
    return _run(record["run"]), "journaled:" + record["result"]["outcome"]


def cuts_of(state: DeviceState, effects: list[Effect], session: int) -> Iterator[Cut]:
    for count in range(1, len(effects)):
        if effects[count - 1].kind == "post":
            continue  # nothing is between a frame that is sent and what comes before it
        done = effects[:count]
        facts, frames = _facts(done), _frames(done, session)
        processes = _processes(state.processes, done)
        file = _whole_lines(state.file) + b"".join(e.what for e in done if e.kind == "write")
        yield Cut(f"{done[-1].kind}, then the agent is killed", Step(
            killed(state._replace(file=file, synced=synced_bytes(state, done), processes=processes)),
            frames, facts,
        ))  # fmt: skip
        safe = synced_bytes(state, done)
        for kept in sorted({safe, (safe + len(file) + 1) // 2, len(file)}):
            yield Cut(f"{done[-1].kind}, then the power fails", Step(
                powerless(state._replace(file=file[:kept], synced=kept, processes=processes)),
                frames, facts,
            ))  # fmt: skip


def _processes(before: tuple[str, ...], effects: list[Effect]) -> tuple[str, ...]:
    now = list(before)
    for effect in effects:
        if effect.kind in ("prepare", "release", "cancel", "clean"):
            now[effect.what] = machines.after(effect.kind, now[effect.what])
    return tuple(now)


def killed(state: DeviceState) -> DeviceState:
    """The agent dies; its shims live on, but one that has no work yet ends and says so."""
    ended = {machines.WAITING: machines.EXITED + "failed"}
    processes = tuple(ended.get(one, one) for one in state.processes)
    return DeviceState(state.file, state.synced, processes, is_up=False)


def powerless(state: DeviceState) -> DeviceState:
    """Agent, shims and commands die at once, and what was not synced is gone."""
    gone = dict.fromkeys(machines.ALIVE - {machines.STRAY}, machines.GONE)
    processes = tuple(
        machines.NONE if one == machines.STRAY else gone.get(one, one) for one in state.processes
    )
    return DeviceState(state.file[: state.synced], state.synced, processes, is_up=False)


def written(line: bytes) -> str:
    """Which step a line of the journal tells of."""
    return str(json.loads(line.partition(b" ")[2])["do"])


def _run(text: str) -> int:
    return RUN_NUMBERS[UUID(text)]
