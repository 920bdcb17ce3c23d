"""The rules, each switched off by itself, and the promise that breaks without it.

Where the database's own trigger is a second guard of the same rule, it is switched off as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models.functions import Now

from devices.agent.journal import Journal, JournalFull
from devices.agent.protocol import JournalState
from devices.agent.runs import Runs
from devices.agent.supervisor import Supervisor
from devices.ledger_port import RunGo
from devices.models import Device
from scheduling.ledger import evidence, grants, verdicts
from scheduling.models import DeviceRun
from tests.protocol_model import server as servers
from tests.protocol_model import world as worlds
from tests.protocol_model.rewriting import Patch, replaced, rewritten, sql, together
from tests.protocol_model.states import Bounds


class Mutant(NamedTuple):
    """`patch` makes the change; `words` are the server's verbs it reaches, none where it is the
    device's code that changes."""

    rule: str
    breaks: str
    bounds: Bounds
    patch: Patch
    words: tuple[str, ...] = ()
    has_triggers: bool = True

    def __str__(self) -> str:
        return self.rule.replace(" ", "-")


class Redundant(NamedTuple):
    """A rule without which no promise breaks, and why not."""

    rule: str
    because: str
    bounds: Bounds
    patch: Patch
    words: tuple[str, ...]
    has_triggers: bool = True

    def __str__(self) -> str:
        return self.rule.replace(" ", "-")


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
           replaced(Runs, "_start_what_may", _start_without_go)),
    Mutant("the journal says go before anything is spawned", "P1", Bounds(full=1, sessions=1),
           replaced(Runs, "on_go", _spawn_before_journal)),
    Mutant("the journal knows the shim before it is let go", "P5", Bounds(crashes=1, sessions=1),
           replaced(Supervisor, "_run", _release_before_mark)),
    Mutant("the journal is synced before what it says is done", "P1",
           Bounds(crashes=1, restores=1, sessions=2),
           replaced(Journal, "_sync", lambda self: None)),
    Mutant("a second GO changes nothing", "P1", Bounds(doubles=1, sessions=1),
           replaced(Runs, "on_go", _go_for_anything)),
    Mutant("a settled run leaves a tombstone", "P1", Bounds(doubles=2, sessions=1),
           replaced(Journal, "settle", Journal.erase)),
    Mutant("a grant for a tombstone is not run", "P1", Bounds(doubles=2, sessions=1),
           replaced(Runs, "on_grant", _grant_despite_tombstone)),
    Mutant("what is gone is never run again", "P1", Bounds(crashes=1, sessions=1),
           replaced(Supervisor, "adopt", _run_again_what_is_gone)),
    Mutant("a recall is answered out of the tombstones too", "P3", Bounds(restores=1, delays=1),
           rewritten(Runs, "recalled", ("if run in stones and", "if False and"))),
    Mutant("a result is repeated until it is acknowledged", "P2", Bounds(sessions=1),
           replaced(worlds, "_REPEATS", ("poll",))),
]  # fmt: skip

# The server.


_verdicts = verdicts._verdicts


def _let_lost_go_again(session: Any, run: DeviceRun, row: Any) -> list[str]:
    if run.status == "lost" and row.state == "claimed":
        DeviceRun.objects.filter(pk=run.pk).update(
            status="claimed", claim_session=session.session, finished_at=None
        )
        return ["keep"]
    return _verdicts(session, run, row)


def _poll_without_grants(session: Any, holding: Any) -> Any:
    return grants.PollAnswer()


def _go_again_to_anybody(session: Any, run_id: Any, run: Any) -> Any:
    if run is not None and run.status == "running":
        return RunGo(session.device, run_id, run.timeout_seconds)
    return _answer(session, run_id, run)


_answer = grants._answer


def _start_from(status: str, condition: str) -> Patch:
    """START is heard of a run that has ended so, while it names the session of its claim."""
    return together(
        replaced(servers, "CLAIM_COUNTS", servers.CLAIM_COUNTS | {status}),
        sql(
            grants,
            "_START",
            (condition, ""),
            ("SET status = 'running'", "SET finished_at = NULL, status = 'running'"),
            (
                "CASE run.status WHEN 'claimed' THEN true END",
                f"run.status IN ('claimed', '{status}')",
            ),
        ),
    )


def _only_mark_revoked(device: Any, user: Any) -> None:
    Device.objects.filter(pk=device.pk).update(revoked_at=Now())


def _settle_whatever_it_is(result: Any) -> str:
    evidence._record([result])
    return str(DeviceRun.objects.get(pk=result.run).status)


def _give_back_from_any_session(given: Any) -> Any:
    for one in given:
        DeviceRun.objects.filter(pk=one.run, status="claimed").update(**_BACK)
    return evidence._acks((one.session.device, one.run) for one in given)


def _give_back_whatever_it_is(given: Any) -> Any:
    for one in given:
        DeviceRun.objects.filter(pk=one.run).update(**_BACK)
    return evidence._acks((one.session.device, one.run) for one in given)


_BACK: dict[str, Any] = {
    "status": "queued", "claim_session": None, "claimed_at": None, "finished_at": None
}  # fmt: skip


def _reject_whatever_it_is(given: Any) -> Any:
    for one in given:
        mine = DeviceRun.objects.filter(pk=one.run)
        mine.update(status="rejected", finished_at=Now(), started_at=None)
    return evidence._acks((one.device, one.run) for one in given)


def _any_session(session: Any) -> Any:
    return Device.objects.filter(pk=session.device).select_for_update(no_key=True).first()


def _ready_of_anybody(session: Any, is_ready: bool) -> None:
    Device.objects.filter(pk=session.device).update(is_ready=is_ready)


_AT_HELLO = ("hello", "recalled")
_TWINS = Bounds(clones=1)
_NO_FENCES = (
    ("AND run.claim_session = given.session", ""),
    ("AND device.session = given.session", ""),
)

SERVER = [
    Mutant("nothing starts after its last permitted start", "P3", Bounds(delays=1, sessions=1),
           sql(grants, "_START", ("AND (run.not_after > now()) IS TRUE", "")), ("start",)),
    Mutant("a poll grants again what was lost", "P2", Bounds(sessions=1),
           replaced(servers.ledger, "poll", _poll_without_grants), ("poll",)),
    Mutant("a lost run is never claimed again", "P5", Bounds(cuts=2, sessions=3),
           replaced(verdicts, "_verdicts", _let_lost_go_again), _AT_HELLO, has_triggers=False),
    Mutant("START is heard in the claim's session only", "P1", _TWINS,
           sql(grants, "_START", *_NO_FENCES), ("start",)),
    Mutant("a GO is repeated to its own session only", "P1", _TWINS,
           replaced(grants, "_answer", _go_again_to_anybody), ("start",)),
    Mutant("a poll repeats a GO to its own session only", "P1", _TWINS,
           sql(grants, "_UNDER_WAY", ("run.claim_session, run.id", "given.session, run.id"),
               *_NO_FENCES), ("poll",)),
    Mutant("no GO after a cancel", "P3", Bounds(people=1, sessions=1),
           _start_from("cancelled", "AND run.cancel_requested_at IS NULL"),
           ("start", "cancel"), has_triggers=False),
    Mutant("no GO after a revocation", "P3", Bounds(people=1, sessions=1),
           _start_from("skipped", "AND device.revoked_at IS NULL"),
           ("start", "revoke"), has_triggers=False),
    Mutant("no GO after an expiry", "P3", Bounds(delays=1, sessions=1),
           _start_from("expired", "AND (run.not_after > now()) IS TRUE"),
           ("start", "expire"), has_triggers=False),
    Mutant("a revocation ends what waits", "P2", Bounds(people=1, sessions=1),
           replaced(servers.fleet, "revoke", _only_mark_revoked), ("revoke",)),
    Mutant("what runs is not claimed", "P1", Bounds(sessions=1),
           sql(grants, "_CLAIM", ("AND queued.status = 'queued'", ""),
               ("AND CASE run.status WHEN 'queued' THEN run.has_slot END", "")), ("claim",),
           has_triggers=False),
    Mutant("a lost run keeps its mark", "P5", Bounds(people=1, sessions=1),
           sql(evidence, "_RESULTS", ("AND CASE run.status WHEN 'running' THEN true END", "")),
           ("result",), has_triggers=False),
    Mutant("an end is not overwritten", "P7", _TWINS,
           together(
               sql(evidence, "_RESULTS",
                   ("CASE run.status WHEN 'running' THEN true END", "run.status <> 'lost'")),
               replaced(evidence, "settle", _settle_whatever_it_is),
           ), (*_AT_HELLO, "result"), has_triggers=False),
    Mutant("only a claim is given back", "P1", Bounds(people=1, sessions=1),
           replaced(servers.ledger, "givebacks", _give_back_whatever_it_is),
           ("giveback",), has_triggers=False),
    Mutant("only a claim is rejected", "P3", Bounds(people=1, sessions=1),
           replaced(servers.ledger, "rejects", _reject_whatever_it_is),
           ("reject",), has_triggers=False),
]  # fmt: skip

# Rules that another makes up for: they break a promise only together with it.
REDUNDANT = [
    Redundant("START names the claim's session",
              "each session's hello has moved or taken back the claims of the one before",
              _TWINS, sql(grants, "_START", _NO_FENCES[0]), ("start",)),
    Redundant("START comes in the device's live session",
              "a claim names its session; where the newer has not said its hello, that settles it",
              _TWINS, sql(grants, "_START", _NO_FENCES[1]), ("start",)),
    Redundant("a poll's repeats are of this session's claims",
              "each session's hello has moved or taken back the claims of the one before", _TWINS,
              sql(grants, "_UNDER_WAY", ("run.claim_session, run.id", "given.session, run.id"),
                  _NO_FENCES[0]), ("poll",)),
    Redundant("a poll's repeats are for the live session", "a claim names its session",
              _TWINS, sql(grants, "_UNDER_WAY", _NO_FENCES[1]), ("poll",)),
    Redundant("START asks for the cancel's flag",
              "a cancel ends the claim; only in recovery it is a flag, and there no START is heard",
              Bounds(people=1, restores=1),
              sql(grants, "_START", ("AND run.cancel_requested_at IS NULL", "")), ("start",)),
    Redundant("START asks for the revocation", "a revocation ends the claim in its transaction",
              Bounds(people=1, sessions=1),
              sql(grants, "_START", ("AND device.revoked_at IS NULL", "")), ("start",)),
    Redundant("START asks for the mark of recovery",
              "it ends the sessions, and a new one is welcomed when the mark has fallen",
              Bounds(restores=1),
              sql(grants, "_START", ("AND NOT device.in_recovery", "")), ("start",)),
    Redundant("a claim asks for the mark of recovery",
              "it ends the sessions, and a new one is welcomed when the mark has fallen",
              Bounds(restores=1),
              sql(grants, "_CLAIM", ("AND NOT device.in_recovery", "")), ("claim",)),
    Redundant("what is claimed is not claimed again",
              "a second grant is only asked about once: START is heard in the claim's session",
              _TWINS,
              sql(grants, "_CLAIM",
                  ("AND queued.status = 'queued'", "AND queued.status IN ('queued', 'claimed')"),
                  ("AND CASE run.status WHEN 'queued' THEN run.has_slot END", ""),
                  ("+ busy.runs", "")),
              ("claim",), has_triggers=False),
    Redundant("only the live session claims",
              "START is not heard from another, and its claim is taken back after ten minutes",
              _TWINS, sql(grants, "_CLAIM", ("AND device.session = given.session", "")),
              ("claim",)),
    Redundant("an agent that is not ready gets no claim", "it gives it back",
              Bounds(people=1, sessions=1), sql(grants, "_CLAIM", ("AND device.is_ready", "")),
              ("claim",)),
    Redundant("a revoked device gets no claim", "a revocation leaves nothing queued",
              Bounds(people=1, sessions=1),
              sql(grants, "_CLAIM", ("device.revoked_at IS NULL AND", "")), ("claim",)),
    Redundant("an earlier session gives nothing back",
              "START is heard only of what is claimed: the run is granted once more",
              Bounds(people=1, cuts=1),
              replaced(servers.ledger, "givebacks", _give_back_from_any_session), ("giveback",)),
    Redundant("an earlier session's hello is not heard",
              "it may call a run lost, which its result settles, and hands no claim to START",
              _TWINS, replaced(verdicts, "live_device", _any_session), _AT_HELLO),
    Redundant("an earlier session's ready is not heard", "the next poll says it again",
              Bounds(people=1, cuts=1),
              replaced(servers.sessions, "set_ready", _ready_of_anybody), ("set_ready",)),
]  # fmt: skip
