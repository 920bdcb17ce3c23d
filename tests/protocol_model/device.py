"""The device's half: the agent's own journal, runs and supervisor, one step at a time.

A step restores the agent from its state, lets it do one thing, and notes every effect in order. From
the same notes come the ways in which a crash could have cut the step short.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from devices.agent import journal as journals
from devices.agent import protocol, runs
from devices.agent.clock import ServerClock
from devices.agent.config import Settings, StateDir
from devices.agent.identity import DeviceKey, Server
from devices.agent.journal import Journal, JournalFailed
from devices.agent.live import Live
from devices.agent.runs import Runs
from devices.agent.transfers import Transfers
from tests.protocol_model import machine as machines
from tests.protocol_model.crashes import (
    Cut,
    DeviceState,
    Step,
    cuts_of,
    step_of,
    synced_bytes,
    written,
)
from tests.protocol_model.frames import DEVICE_ID, RUN_NUMBERS, run_id, session_id
from tests.protocol_model.machine import InlineLoop, Machine, ModelLine, ResultCourier

BEFORE = datetime(2027, 1, 31, 2, tzinfo=UTC)
NOT_AFTER = BEFORE + timedelta(hours=1)
AFTER = NOT_AFTER + timedelta(minutes=1)
_PAYLOAD = b'{"command":"true","environment":{},"stop_on_failure":true,"success_exit_codes":[0]}'
_SERVER_ID = "0197f3a0-0000-7000-8000-00000000000a"
_KEY = bytes(range(32))
_SERVER = Server(
    "http://127.0.0.1", "ws://127.0.0.1/ws/agent", _SERVER_ID, str(DEVICE_ID), "model",
    protocol.public_key_of(_KEY).hex(),
)  # fmt: skip
_PATIENT = Settings(repeat_seconds=1e9, min_free_bytes=0, policy=Path("/nonexistent"))
_REFUSING = replace(_PATIENT, min_free_bytes=2**62)
_REPEATING = replace(_PATIENT, repeat_seconds=0.0)


class Device:
    """Takes steps on a real journal file in `folder`; remembers what each came to."""

    def __init__(self, folder: Path, number_of_runs: int = 1) -> None:
        self._state_dir = StateDir(folder)
        self._state_dir.create()
        self._loop = InlineLoop()
        self._count = number_of_runs
        self._steps: dict[tuple[Any, ...], tuple[Step, tuple[Cut, ...]]] = {}
        self._empty = Machine([machines.NONE] * number_of_runs)
        self.steps_taken = 0

    def close(self) -> None:
        self._loop.close()

    def anew(self) -> Device:
        """One that remembers nothing: the agent's code has changed."""
        other = copy.copy(self)
        other._steps = {}
        return other

    def begin(self) -> DeviceState:
        return DeviceState(processes=(machines.NONE,) * self._count)

    def step(self, state: DeviceState, word: str, what: Any, late: bool = False) -> Step:
        return self._taken(state, word, what, late)[0]

    def cuts(self, state: DeviceState, word: str, what: Any, late: bool = False) -> tuple[Cut, ...]:
        """The same step, cut short by a crash in every way there is."""
        return self._taken(state, word, what, late)[1]

    def journal(self, state: DeviceState) -> Journal:
        """The journal as a program that only reads would find it."""
        self._state_dir.journal.write_bytes(state.file)
        return Journal(self._state_dir.journal, is_only_read=True)

    def _taken(
        self, state: DeviceState, word: str, what: Any, late: bool
    ) -> tuple[Step, tuple[Cut, ...]]:
        key = (state, word, what, late)
        if key not in self._steps:
            self._steps[key] = self._loop.run_until_complete(self._take(state, word, what, late))
            self.steps_taken += 1
        return self._steps[key]

    async def _take(
        self, state: DeviceState, word: str, what: Any, late: bool
    ) -> tuple[Step, tuple[Cut, ...]]:
        agent = Agent(self._state_dir, state, late)
        with agent.working():
            await agent.restore(is_repeating=word == "repeat")
            failed = await agent.act(word, what)
            after = await agent.capture()
        effects = agent.machine.effects
        step = step_of(after, effects, state.session or after.session, failed)
        return step, tuple(cuts_of(state, effects, state.session or after.session))


class Agent:
    """An agent for one step, with its memory as it was after the step before."""

    def __init__(self, folder: StateDir, state: DeviceState, late: bool) -> None:
        self._before = state
        self._folder = folder
        self.machine = Machine(state.processes)
        folder.journal.write_bytes(state.file)
        self._synced = state.synced
        self._clock = ServerClock(read=lambda: 0.0)
        self._clock.tell(AFTER if late else BEFORE)
        self._time = AFTER if late else BEFORE
        self._session = state.session
        self._is_open = state.is_open
        self._failures: list[BaseException] = []

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        courier = runs.Courier
        runs.Courier = ResultCourier  # type: ignore[misc, assignment]
        try:
            with self.machine.disk():
                yield
        finally:
            runs.Courier = courier  # type: ignore[misc]

    async def restore(self, *, is_repeating: bool) -> None:
        state = self._before
        settings = _REPEATING if is_repeating else _PATIENT
        self._journal = Journal(self._folder.journal)
        transfers = Transfers(self._folder, settings, DeviceKey(_KEY))
        self._runs = Runs(
            self._folder, settings, self._journal, self._clock, self._failures.append, transfers
        )
        supervisor = self._runs._supervisor
        supervisor._runner = self.machine  # type: ignore[assignment]
        supervisor.clean = self.machine.clean  # type: ignore[method-assign]
        supervisor.sweep = lambda: self.machine.sweep(self._journal.entries)  # type: ignore[method-assign]
        if not state.is_up:
            return
        self._runs._rejects = {str(run_id(n)): _reject(n) for n in state.rejects}
        self._runs._is_stopping = state.is_stopping
        for flags in state.lives:
            _set_flags(self._runs._lives[str(run_id(flags[0]))], flags)
        if state.session and state.is_open:
            self._runs._givebacks = {str(run_id(n)) for n in state.givebacks}
            self._attach_again()
        supervisor.adopt()
        await _settled()
        if not is_repeating:
            self.machine.effects.clear()

    def _attach_again(self) -> None:
        self._runs._line = self._line(self._session)  # type: ignore[assignment]
        self._runs._server = _SERVER
        for live in self._runs._lives.values():
            self._runs._deliver(live)

    def _line(self, number: int) -> ModelLine:
        return ModelLine(self.machine, str(session_id(number)), number)

    async def act(self, word: str, what: Any) -> bool:
        """Whether the agent must end now."""
        try:
            getattr(self, f"_{word}")(what)
            await _settled()
        except JournalFailed:
            return True
        return bool(self._failures)

    # What may happen to an agent.

    def _resume(self, _what: Any) -> None:
        self._runs.resume()

    def _introduce(self, session: int) -> None:
        self._session, self._is_open = session, False
        self.machine.note("post", ("hello", _told(self._runs.entries())))

    def _recall(self, numbers: tuple[int, ...]) -> None:
        asked = tuple(str(run_id(number)) for number in numbers)
        self.machine.note("post", ("recalled", _told(self._runs.recalled(asked))))

    def _welcome(self, verdicts: tuple[tuple[int, str], ...]) -> None:
        self._is_open = True
        words = tuple(
            protocol.Verdict(str(run_id(number)), protocol.VerdictWord(word))
            for number, word in verdicts
        )
        welcome = protocol.Welcome(
            str(session_id(self._session)), protocol.Limits(), self._time, (), words
        )
        self._runs.attach(self._line(self._session), _SERVER, welcome)  # type: ignore[arg-type]
        self._journal.forget(self._time)
        self._poll(None)

    def _cut_off(self, _what: Any) -> None:
        self._runs.detach()
        self._session, self._is_open = 0, False

    def _poll(self, _what: Any) -> None:
        holding = tuple((_run(held.run), held.state.value) for held in self._runs.holding())
        self.machine.note("post", ("poll", (holding, self._runs.is_ready)))

    def _repeat(self, _what: Any) -> None:
        self._runs.repeat()

    def _stop(self, _what: Any) -> None:
        self._runs.stop()

    def _exits(self, what: tuple[int, str]) -> None:
        self.machine.exits(*what)

    def _grant(self, number: int) -> None:
        self._runs.on_grant(grant(number))

    def _grant_refused(self, number: int) -> None:
        self._runs._settings = _REFUSING
        self._runs.on_grant(grant(number))

    def _go(self, number: int) -> None:
        self._runs.on_go(str(run_id(number)), 60)

    def _go_on_full_disk(self, number: int) -> None:
        self.machine.is_full = True
        self._runs.on_go(str(run_id(number)), 60)
        self.machine.is_full = False

    def _stopped(self, what: tuple[int, str]) -> None:
        self._runs.on_stop(str(run_id(what[0])), what[1])

    def _ack(self, what: tuple[int, str]) -> None:
        self._runs.on_ack(str(run_id(what[0])), what[1])

    def _ack_on_full_disk(self, what: tuple[int, str]) -> None:
        self.machine.is_full = True
        self._ack(what)
        self.machine.is_full = False

    def _cancel(self, number: int) -> None:
        self._runs.on_cancel(str(run_id(number)))

    async def capture(self) -> DeviceState:
        file, synced = self._on_disk()
        lives = tuple(sorted(_flags(live) for live in self._runs._lives.values()))
        rejects = frozenset(map(_run, self._runs._rejects))
        givebacks = frozenset(map(_run, self._runs._givebacks))
        state = DeviceState(
            file, synced, tuple(self.machine.processes), True, self._session, self._is_open,
            lives, rejects, givebacks, self._runs._is_stopping,
        )  # fmt: skip
        await self._runs.close()
        self._journal.close()
        return state

    def _on_disk(self) -> tuple[bytes, int]:
        """The journal after the step. Where all of it is on the disk it is compacted, as the agent
        itself does past 4 MiB, so that states that mean the same are the same."""
        raw = self._folder.journal.read_bytes()
        synced = synced_bytes(self._before, self.machine.effects)
        if synced < len(raw) or self._journal.damaged:
            return raw, synced
        lines = sorted(journals._line(record) for record in self._journal._essence())
        ordered = sorted(lines, key=lambda line: _ORDER[written(line)])
        whole = b"".join(ordered)
        return whole, len(whole)


_ORDER = {"claim": 0, "go": 1, "spawned": 2, "ended": 3, "tombstone": 4}


def grant(number: int) -> protocol.Grant:
    if number not in _GRANTS:
        terms = protocol.build_terms(_terms(number))
        signature = protocol.sign(_KEY, protocol.run_bytes(terms))
        _GRANTS[number] = protocol.Grant(
            str(run_id(number)), _SERVER.key_id, terms, signature, _PAYLOAD
        )
    return _GRANTS[number]


_GRANTS: dict[int, protocol.Grant] = {}


def _terms(number: int) -> protocol.Terms:
    return protocol.Terms(
        server_id=_SERVER_ID, run=str(run_id(number)), device=str(DEVICE_ID),
        execution=_SERVER_ID, task=_SERVER_ID, attempt=1, scheduled_for=None, kind="command",
        payload_sha256=hashlib.sha256(_PAYLOAD).hexdigest(), files=(), run_as=None,
        timeout_seconds=60, not_before=BEFORE - timedelta(minutes=1), not_after=NOT_AFTER,
    )  # fmt: skip


def _reject(number: int) -> protocol.Reject:
    return protocol.Reject(str(run_id(number)), protocol.RejectCode.DISK_FULL, "no room")


def _run(text: str) -> int:
    return RUN_NUMBERS[UUID(text)]


def _told(entries: list[protocol.JournalEntry]) -> tuple[tuple[int, str, str], ...]:
    return tuple(
        (_run(entry.run), entry.state.value, entry.result.outcome.value if entry.result else "")
        for entry in entries
    )


_FLAGS = ("may_start", "is_ours", "is_dismissed", "is_cancelled", "is_fresh")


def _flags(live: Live) -> tuple[Any, ...]:
    told = tuple(getattr(live, name) for name in _FLAGS)
    return (_run(live.entry.run), *told, live.started_at is not None)


def _set_flags(live: Live, flags: tuple[Any, ...]) -> None:
    for name, value in zip(_FLAGS, flags[1:], strict=False):
        setattr(live, name, value)
    live.started_at = time.monotonic() if flags[-1] else None
    live.is_delivered = True


async def _settled() -> None:
    """Until everything that can go on without the outside has."""
    for _turn in range(12):
        await asyncio.sleep(0)
