"""The rules, each switched off by itself, and the promise that breaks without it.

Where the database's own trigger is a second guard of the same rule, it is switched off as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

from devices.agent.journal import Journal, JournalFull
from devices.agent.protocol import JournalState
from devices.agent.runs import Runs
from devices.agent.supervisor import Supervisor
from scheduling.ledger import grants, verdicts
from scheduling.models import DeviceRun
from tests.protocol_model import server as servers
from tests.protocol_model import world as worlds
from tests.protocol_model.states import Bounds


class Mutant(NamedTuple):
    """`patch` makes the change; `words` are the server's verbs it reaches, none where it is the
    device's code that changes."""

    rule: str
    breaks: str
    bounds: Bounds
    patch: Callable[[], Any]
    words: tuple[str, ...] = ()
    has_triggers: bool = True

    def __str__(self) -> str:
        return self.rule.replace(" ", "-")


def _sql(module: Any, name: str, *pairs: tuple[str, str]) -> Callable[[], Any]:
    text = getattr(module, name)
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return lambda: mock.patch.object(module, name, text)


def _replaced(owner: Any, name: str, new: Any) -> Callable[[], Any]:
    assert hasattr(owner, name)
    return lambda: mock.patch.object(owner, name, new)


# The device.


def _spawn_before_journal(self: Runs, run: str, timeout_seconds: int) -> None:
    live = self._lives.get(run)
    if live is None or live.entry.state is not JournalState.CLAIMED:
        return
    machine: Any = self._supervisor._runner
    mark = machine.prepare(self._supervisor.folder(run))
    machine._do("release", mark.pid - 1_000)
    try:
        self._journal.go(run, timeout_seconds)
    except JournalFull:
        return
    self._journal.spawned(run, mark)
    self._supervisor._begin(self._supervisor._watch(live.entry))
    self._deliver(live)


def _start_without_go(self: Runs) -> None:
    for run, live in list(self._lives.items()):
        if live.may_start and live.entry.state is JournalState.CLAIMED:
            self.on_go(run, 60)


_on_go = Runs.on_go


def _go_for_anything(self: Runs, run: str, timeout_seconds: int) -> None:
    live = self._lives.get(run)
    if live is not None and live.entry.state is JournalState.GO:
        live.entry.state = JournalState.CLAIMED
    _on_go(self, run, timeout_seconds)


_on_grant = Runs.on_grant


def _grant_despite_tombstone(self: Runs, grant: Any) -> None:
    self._journal.tombstones.pop(grant.run, None)
    _on_grant(self, grant)


def _run_again_what_is_gone(self: Supervisor) -> None:
    machine: Any = self._runner
    for entry in self._journal.entries.values():
        if entry.state is JournalState.GO:
            mark = entry.shim or machine.prepare(self.folder(entry.run))
            if machine.processes[mark.pid - 1_000] == "gone":
                machine.prepare(self.folder(entry.run))
                machine._do("release", mark.pid - 1_000)
            self._begin(self._watch(entry))


async def _release_before_mark(self: Supervisor, entry: Any, work: Any) -> None:
    mark = self._runner.prepare(self.folder(entry.run))
    await self._runner.release(mark, work)
    await self._recorded(lambda: self._journal.spawned(entry.run, mark))
    await self._watch(entry)


DEVICE = [
    Mutant("the agent asks before it starts", "P3", Bounds(people=1, sessions=1),
           _replaced(Runs, "_start_what_may", _start_without_go)),
    Mutant("the journal says go before anything is spawned", "P1", Bounds(full=1, sessions=1),
           _replaced(Runs, "on_go", _spawn_before_journal)),
    Mutant("the journal knows the shim before it is let go", "P5", Bounds(crashes=1, sessions=1),
           _replaced(Supervisor, "_run", _release_before_mark)),
    Mutant("the journal is synced before what it says is done", "P1",
           Bounds(crashes=1, restores=1, sessions=2),
           _replaced(Journal, "_sync", lambda self: None)),
    Mutant("a second GO changes nothing", "P1", Bounds(doubles=1, sessions=1),
           _replaced(Runs, "on_go", _go_for_anything)),
    Mutant("a settled run leaves a tombstone", "P1", Bounds(doubles=2, sessions=1),
           _replaced(Journal, "settle", Journal.erase)),
    Mutant("a grant for a tombstone is not run", "P1", Bounds(doubles=2, sessions=1),
           _replaced(Runs, "on_grant", _grant_despite_tombstone)),
    Mutant("what is gone is never run again", "P1", Bounds(crashes=1, sessions=1),
           _replaced(Supervisor, "adopt", _run_again_what_is_gone)),
    Mutant("a result is repeated until it is acknowledged", "P2", Bounds(sessions=1),
           lambda: mock.patch.object(worlds, "_REPEATS", ("poll",))),
]  # fmt: skip

# The server.


_verdicts = verdicts._verdicts


def _cell(status: str, state: str, *words: str, moves: bool = True) -> Callable[[], Any]:
    """Another answer in one cell of the table of verdicts, with or without what becomes of the row."""

    def answer(session: Any, run: DeviceRun, row: Any) -> list[str]:
        if (run.status, row.state) != (status, state):
            return _verdicts(session, run, row)
        if moves:
            _verdicts(session, run, row)
        return list(words)

    return _replaced(verdicts, "_verdicts", answer)


def _let_lost_go_again(session: Any, run: DeviceRun, row: Any) -> list[str]:
    if run.status == "lost" and row.state == "claimed":
        DeviceRun.objects.filter(pk=run.pk).update(
            status="claimed", claim_session=session.session, finished_at=None
        )
        return ["keep"]
    return _verdicts(session, run, row)


def _poll_without_grants(session: Any, holding: Any) -> Any:
    return grants.PollAnswer()


_AT_HELLO = ("hello", "recalled")

SERVER = [
    Mutant("nothing starts after its last permitted start", "P3", Bounds(delays=1, sessions=1),
           _sql(grants, "_START", ("AND (run.not_after > now()) IS TRUE", "")), ("start",)),
    Mutant("a poll grants again what was lost", "P2", Bounds(sessions=1),
           _replaced(servers.ledger, "poll", _poll_without_grants), ("poll",)),
    Mutant("a lost run is never claimed again", "P5", Bounds(cuts=2, sessions=3),
           _replaced(verdicts, "_verdicts", _let_lost_go_again), _AT_HELLO, has_triggers=False),
    Mutant("running and claimed: the run is lost", "P2", Bounds(cuts=1, sessions=2),
           _cell("running", "claimed", "keep", moves=False), _AT_HELLO),
    Mutant("running and ended: its outcome is taken", "P2", Bounds(cuts=1, sessions=2),
           _cell("running", "ended", "ack", moves=False), _AT_HELLO),
    Mutant("running and unknown: the run is lost", "P2", Bounds(crashes=1, sessions=2),
           _cell("running", "unknown", "ack", moves=False), _AT_HELLO),
]  # fmt: skip
