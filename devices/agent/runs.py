"""The runs of this device, from grant to acknowledgement; `docs/protocol.md` gives the rules.

Every step that matters is in the journal before it is acted upon.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from . import grants
from .clock import ServerClock
from .config import Settings, StateDir
from .delivery import Courier, result_of
from .grants import Order, Refused
from .identity import Server
from .journal import Entry, Journal, JournalFull
from .line import Line
from .live import Live
from .protocol import (
    TOMBSTONE_SECONDS,
    Giveback,
    Grant,
    Holding,
    JournalEntry,
    JournalState,
    Outcome,
    Reject,
    RejectCode,
    Source,
    Start,
    VerdictWord,
    Welcome,
    parse_terms,
)
from .shim import SPOOL
from .supervisor import Supervisor
from .transfers import Transfers

log = logging.getLogger("deployx_agent.runs")


class Runs:
    """Handlers of frames; none of them blocks. `fail` is called with what must end the agent."""

    def __init__(
        self,
        state: StateDir,
        settings: Settings,
        journal: Journal,
        clock: ServerClock,
        fail: Callable[[BaseException], None],
        transfers: Transfers,
    ) -> None:
        self._state = state
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._fail = fail
        self._transfers = transfers
        self._supervisor = Supervisor(state, settings, journal, self._has_ended, fail, transfers)
        self._lives = {run: Live(entry) for run, entry in journal.entries.items()}
        self._rejects: dict[str, Reject] = {}
        self._givebacks: set[str] = set()
        self._repeated_at = 0.0
        self._line: Line | None = None
        self._server: Server | None = None
        self._is_stopping = False

    # Outside of any session.

    def resume(self) -> None:
        """After a start of the agent: find what went on without it."""
        self._supervisor.sweep()
        self._supervisor.adopt()

    def tidy(self) -> None:
        """Now and then."""
        self._transfers.sweep()
        # In a session alone: out of it nothing is added, and the time is less and less exact.
        if self._line is not None and (now := self._clock.now()) is not None:
            self._journal.forget(now)

    async def close(self) -> None:
        self.detach()
        await self._supervisor.close()

    @property
    def running(self) -> int:
        return sum(live.entry.state is JournalState.GO for live in self._lives.values())

    @property
    def is_ready(self) -> bool:
        return not self._is_stopping and not self._journal.damaged

    @property
    def has_givebacks(self) -> bool:
        return bool(self._givebacks)

    # A session's beginning and end.

    def entries(self) -> list[JournalEntry]:
        """What the journal says of every run that is not settled, for `hello`. A run whose
        output the server may not have yet is told as `go`, so that it is not closed too soon."""
        return [live.told() for live in self._lives.values()]

    def recalled(self, runs: tuple[str, ...]) -> list[JournalEntry]:
        """What the journal and its tombstones say of these runs."""
        stones = self._journal.tombstones
        told = [self._lives[run].told() for run in runs if run in self._lives]
        return told + [
            JournalEntry(run, stones[run].state, stones[run].evidence)
            for run in runs
            if run in stones and run not in self._lives
        ]

    def attach(self, line: Line, server: Server | None, welcome: Welcome) -> None:
        """`server` is None when its key chain does not lead back to the pinned key."""
        self._line = line
        self._server = server
        if server is not None:
            self._transfers.attach(line, server)
        for live in self._lives.values():
            live.may_start = live.is_fresh = False
            live.is_ours = True
            live.started_at = None
        for verdict in welcome.verdicts:
            self._obey(verdict.run, verdict.verdict)
        for live in self._lives.values():
            self._deliver(live)
        for reject in self._rejects.values():
            line.post(reject)
        self._start_what_may()

    def detach(self) -> None:
        self._line = None
        self._transfers.detach()
        self._givebacks.clear()
        for live in self._lives.values():
            live.end_delivery()

    def holding(self) -> tuple[Holding, ...]:
        return tuple(Holding(run, live.entry.state) for run, live in self._lives.items())

    def repeat(self) -> None:
        """Say again what was not answered; called about once a second in a session."""
        now = time.monotonic()
        self._start_what_may()
        if self._line is None or now - self._repeated_at < self._settings.repeat_seconds:
            return
        self._repeated_at = now
        for reject in self._rejects.values():
            self._line.post(reject)
        for run in self._givebacks:
            self._line.post(Giveback(run, self._line.session))

    def stop(self) -> None:
        """The agent is ending: claims go back, what runs goes on by itself."""
        self._is_stopping = True
        for run, live in self._lives.items():
            if live.entry.state is JournalState.CLAIMED:
                self._give_back(run)

    # What the server says.

    def on_grant(self, grant: Grant) -> None:
        run = grant.run
        live = self._lives.get(run)
        if run in self._journal.tombstones:
            self._repeat_result(run)
        elif live is not None and live.entry.state is not JournalState.CLAIMED:
            # Started already; its courier says how it went. A grant can only be a late one.
            log.info("run %s was granted again", run)
        elif not self.is_ready:
            self._give_back(run)
        else:
            self._claim(grant, live)

    def on_go(self, run: str, timeout_seconds: int) -> None:
        live = self._lives.get(run)
        if live is None or live.entry.state is not JournalState.CLAIMED:
            return
        if self._journal.damaged or self._line is None:
            return
        order = self._order(live.entry)
        try:
            self._journal.go(run, timeout_seconds)
        except JournalFull as problem:
            # Still claimed: the server repeats its GO in answer to the next poll.
            log.error("the journal has no room: %s", problem)
            return
        self._givebacks.discard(run)
        live.is_fresh = True
        if live.is_cancelled:
            said = "cancelled before anything of it was started"
            self._supervisor.call_off(live.entry, Outcome.CANCELLED, said)
        elif order is None:
            said = "this agent, changed since the run was claimed, cannot read it: nothing ran"
            self._supervisor.call_off(live.entry, Outcome.FAILED, said)
        else:
            timeout = min(timeout_seconds, order.terms.timeout_seconds)
            spool_bytes = self._line.limits.spool_bytes
            self._supervisor.launch(live.entry, order, timeout, spool_bytes)
        self._deliver(live)

    def on_source(self, source: Source) -> None:
        self._transfers.on_source(source)

    def on_stop(self, run: str, reason: str) -> None:
        if self._transfers.refuses(run, reason):
            return
        self._rejects.pop(run, None)
        self._givebacks.discard(run)
        live = self._lives.get(run)
        if live is None:
            return
        if live.entry.state is JournalState.CLAIMED:
            log.info("run %s is not to start: %s", run, reason)
            self._erase(run)
        else:
            self._disown(live)

    def on_ack(self, run: str, state: str) -> None:
        self._rejects.pop(run, None)
        live = self._lives.get(run)
        if run in self._givebacks:
            self._givebacks.discard(run)
            if live is not None and state != "running":
                self._erase(run)
        elif live is None or not live.is_over:
            return
        elif state == "unknown":
            self._disown(live)
        elif live.is_settled_by(state):
            self._settle(run)

    def on_output_ack(self, run: str, upto: int) -> None:
        live = self._lives.get(run)
        if live is not None and live.courier is not None:
            live.courier.acknowledged(upto)
            live.is_delivered = live.courier.is_delivered

    def on_cancel(self, run: str) -> None:
        live = self._lives.get(run)
        if live is None:
            if run in self._journal.tombstones:
                self._repeat_result(run)
            return
        live.is_cancelled = True
        if live.entry.state is JournalState.GO:
            self._supervisor.cancel(live.entry)

    # Steps.

    def _obey(self, run: str, verdict: VerdictWord) -> None:
        live = self._lives.get(run)
        if live is None:
            return
        state = live.entry.state
        if verdict is VerdictWord.KEEP:
            live.may_start = state is JournalState.CLAIMED
        elif state is JournalState.CLAIMED:
            # No go was given, so there is nothing to remember.
            self._erase(run)
        elif verdict is VerdictWord.DROP:
            log.warning("run %s: the server drops a run that has started", run)
        elif live.is_over:
            self._settle(run)
        else:
            live.is_dismissed = True
            if verdict is VerdictWord.KILL:
                self.on_cancel(run)

    def _claim(self, grant: Grant, live: Live | None) -> None:
        if live is not None and live.holds(grant):
            live.may_start = True
            self._start_what_may()
            return
        now = self._clock.now()
        assert now is not None
        try:
            self._transfers.make_room()
            # What the journal has it has not forgotten.
            forgotten = self._journal.horizon if live is None else None
            order = grants.check(grant, self._server, self._settings, self._state, now, forgotten)
            until = order.terms.not_after
            entry = self._journal.claim(grant.run, grant.terms, grant.payload, until)
        except (Refused, JournalFull) as problem:
            if live is None:
                self._reject(grant.run, problem)
            else:
                log.warning("run %s was granted again, wrongly: %s", grant.run, problem)
            return
        self._rejects.pop(grant.run, None)
        self._lives.setdefault(grant.run, Live(entry)).may_start = True
        self._start_what_may()

    def _reject(self, run: str, problem: Refused | JournalFull) -> None:
        code = problem.code if isinstance(problem, Refused) else RejectCode.DISK_FULL
        reject = Reject(run, code, str(problem)[:2_000])
        log.warning("run %s rejected: %s: %s", run, code, reject.detail)
        self._rejects[run] = reject
        if self._line is not None:
            self._line.post(reject)

    def _give_back(self, run: str) -> None:
        if self._line is not None:
            self._givebacks.add(run)
            self._line.post(Giveback(run, self._line.session))

    def _start_what_may(self) -> None:
        """START for as many claims as there are slots, and again where no answer came."""
        now, instant = time.monotonic(), self._clock.now()
        if self._line is None or instant is None or not self.is_ready:
            return
        slots = self._line.limits.max_runs - self.running
        waiting = [live for live in self._lives.values() if live.may_start and live.is_due(instant)]
        waiting.sort(key=lambda live: live.started_at is None)
        for live in waiting[: max(0, slots)]:
            begun = live.started_at
            if begun is None or now - begun >= self._settings.repeat_seconds:
                live.started_at = now
                self._line.post(Start(live.entry.run))

    def _order(self, entry: Entry) -> Order | None:
        """The order that was verified when it was claimed, perhaps before a restart."""
        if entry.terms is None or entry.payload is None:
            return None
        try:
            return grants.read_order(parse_terms(entry.terms), entry.payload)
        except Refused as problem:
            log.error("run %s: %s", entry.run, problem)
            return None

    def _deliver(self, live: Live) -> None:
        line, entry = self._line, live.entry
        if line is None or live.delivery is not None or live.is_dismissed or not live.is_ours:
            return
        if entry.state is JournalState.CLAIMED:
            return
        spool = self._supervisor.folder(entry.run) / SPOOL
        live.courier = Courier(entry, spool, line, self._settings.repeat_seconds)
        course = live.courier.deliver(is_resumed=not live.is_fresh)
        live.delivery = asyncio.get_running_loop().create_task(course)
        live.delivery.add_done_callback(self._delivery_over)

    def _delivery_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._fail(problem)

    def _has_ended(self, run: str) -> None:
        live = self._lives[run]
        if live.is_dismissed:
            self._settle(run)
        elif live.courier is not None:
            live.courier.ended()
        self._start_what_may()

    def _repeat_result(self, run: str) -> None:
        evidence = self._journal.tombstones[run].evidence
        if self._line is not None and evidence is not None:
            self._line.post(result_of(run, evidence))

    def _disown(self, live: Live) -> None:
        """This server does not know the run: it is neither ended nor spoken of in this session,
        and forgotten when it has ended and nobody can come to ask for it."""
        live.is_ours = False
        live.end_delivery()
        now, until = self._clock.now(), live.entry.not_after
        is_old = now and until and now > until + timedelta(seconds=TOMBSTONE_SECONDS)
        if is_old and live.is_over:
            self._settle(live.entry.run)

    def _settle(self, run: str) -> None:
        try:
            self._journal.settle(run)
        except JournalFull as problem:
            # It stays as it is: the next answer to its result, or the next hello, settles it.
            log.error("the journal has no room: %s", problem)
            return
        self._lives.pop(run).end_delivery()
        self._supervisor.clean(run)

    def _erase(self, run: str) -> None:
        try:
            self._journal.erase(run)
        except JournalFull as problem:
            # A claim that may not start: the next hello asks about it again.
            log.error("the journal has no room: %s", problem)
            self._lives[run].may_start = False
            return
        del self._lives[run]
