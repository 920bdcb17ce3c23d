"""The server's half: the ledger and the other verbs on runs, on a real PostgreSQL.

A step sets the two rows as its state says, calls the verb, reads the rows back and undoes it all. The
answer is remembered: nothing but the two rows and the call decides it, which `test_walking.py` holds
against rows that live on.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.db import DatabaseError, OperationalError, connection, transaction

from accounts.errors import StateConflict
from devices import fleet, sessions
from devices.ledger_port import JournalRow, RunGiveback, RunGo, RunReject, RunResult, Session
from devices.models import Device
from scheduling import cancelling, clock, ledger, reconcile, recovery
from scheduling import release as releasing
from scheduling.models import DeviceRun
from scheduling.tests import factories
from tests.protocol_model.frames import DEVICE_ID, SESSION_NUMBERS, run_id, session_id

RUN_ID = run_id(0)
ENDED = frozenset(
    {"succeeded", "failed", "timed_out", "cancelled", "rejected", "expired", "skipped"}
)
UNSTARTED = frozenset({"pending", "queued", "claimed"})
# A claim's session means nothing once the claim is over; a GO's is asked for at a repeat.
CLAIM_COUNTS = frozenset({"claimed", "running"})


class Row(NamedTuple):
    """A run's row. `claim` is the session it was claimed in, 0 for none."""

    status: str = "pending"
    claim: int = 0
    is_cancel_asked: bool = False
    has_started: bool = False
    was_lost: bool = False
    exit_code: int | None = None

    @property
    def never_ran(self) -> bool:
        return self.status in ("expired", "skipped", "rejected") or (
            self.status == "cancelled" and not self.has_started
        )


class DeviceRow(NamedTuple):
    session: int = 0
    is_ready: bool = True
    is_revoked: bool = False
    in_recovery: bool = False


class Answer(NamedTuple):
    """`said` is what the verb answered; `is_refused` where the database would not have it."""

    device: DeviceRow
    row: Row
    said: Any
    is_refused: bool = False


class Answering(Protocol):
    def step(
        self, device: DeviceRow, row: Row, word: str, *what: Any, late: bool = False
    ) -> Answer: ...


class Server:
    """Make one inside a transaction of a test. `known` is what was learned in earlier ones, and is
    added to."""

    def __init__(self, known: dict[tuple[Any, ...], Answer] | None = None) -> None:
        # Most steps are remembered, so that the database hears nothing for long.
        _execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        _execute("SET LOCAL statement_timeout = 0")
        _execute("SET LOCAL lock_timeout = 0")
        self._actor = factories.person("model", is_administrator=True)
        device = factories.device("model", pk=DEVICE_ID)
        task = factories.task(self._actor, devices=[device])
        execution = factories.execution(task)
        DeviceRun.objects.create(
            pk=RUN_ID, execution=execution, task_id=task.pk, device=device, device_name="model"
        )
        self._known = {} if known is None else known
        self._asked: dict[tuple[Any, ...], Answer] = {}
        self.asked_for: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=50)
        self.calls_made = 0
        self.has_triggers = True

    def without(self, *words: str, has_triggers: bool = True) -> Server:
        """One that knows the same, but nothing of these verbs: they have changed."""
        other = copy.copy(self)
        other._known = {key: one for key, one in self._known.items() if key[2] not in words}
        other._asked = {}
        other.has_triggers = has_triggers
        return other

    def step(
        self, device: DeviceRow, row: Row, word: str, *what: Any, late: bool = False
    ) -> Answer:
        key = (device, row, word, what, late)
        self.asked_for.append((word, what))
        if key not in self._asked:
            self._asked[key] = self._step(*key)
        return self._asked[key]

    def _step(
        self, device: DeviceRow, row: Row, word: str, what: tuple[Any, ...], late: bool
    ) -> Answer:
        """Sessions are renamed on the way: which of them are the same is all that matters."""
        if row.status not in CLAIM_COUNTS:
            row = row._replace(claim=0)
        names = _Names(device.session, row.claim, what[0] if word in _WITH_SESSION else 0)
        told = (names.to(what[0]), *what[1:]) if word in _WITH_SESSION else what
        key = (device._replace(session=names.to(device.session)),
               row._replace(claim=names.to(row.claim)), word, told, late)  # fmt: skip
        if key not in self._known:
            self._known[key] = self._take(*key)
            self.calls_made += 1
        answer = self._known[key]
        return answer._replace(
            device=answer.device._replace(session=names.back(answer.device.session)),
            row=answer.row._replace(claim=names.back(answer.row.claim)),
        )

    def _take(
        self, device: DeviceRow, row: Row, word: str, what: tuple[Any, ...], late: bool
    ) -> Answer:
        with transaction.atomic():
            try:
                with untriggered():
                    write(device, row, late)
                with transaction.atomic(), untriggered(not self.has_triggers):
                    said = self.call(word, *what)
                return Answer(*read(), said)
            except OperationalError:  # a time limit, not a refusal: nothing to be remembered
                raise
            except DatabaseError:
                return Answer(device, row, None, is_refused=True)
            finally:
                transaction.set_rollback(True)

    def call(self, word: str, *what: Any) -> Any:
        """Calls one verb on the rows as they are."""
        verb: Callable[..., Any] = getattr(self, f"_{word}")
        return verb(*what)

    # Frames.

    def _admit(self, session: int) -> bool:
        opening = sessions.Opening(_session(session), b"", b"", "1", {})
        (admission,) = sessions._write([opening])
        return admission.refused_with is None

    def _hello(self, session: int, entry: Any) -> tuple[str, ...]:
        journal = [_journal_row(entry)] if entry else []
        return tuple(one.verdict for one in ledger.hello(_session(session), journal))

    def _recall(self, session: int) -> bool:
        return ledger.recall(_session(session)) == [RUN_ID]

    def _recalled(self, session: int, is_asked: bool, entry: Any) -> tuple[str, ...]:
        journal = [_journal_row(entry)] if entry else []
        asked = [RUN_ID] if is_asked else []
        told = ledger.recalled(_session(session), asked, journal, is_whole=True)
        return tuple(one.verdict for one in told)

    def _claim(self, session: int) -> bool:
        return bool(ledger.claim([_session(session)]))

    def _start(self, session: int) -> str:
        (answer,) = ledger.start([(_session(session), RUN_ID)])
        return "go" if isinstance(answer, RunGo) else answer.reason

    def _poll(self, session: int, held: str) -> tuple[bool, bool]:
        answer = ledger.poll(_session(session), {RUN_ID: held} if held else {})
        return bool(answer.grants), bool(answer.gos)

    def _set_ready(self, session: int, is_ready: bool) -> None:
        sessions.set_ready(_session(session), is_ready)

    def _giveback(self, session: int) -> str:
        (ack,) = ledger.givebacks([RunGiveback(_session(session), RUN_ID)])
        return ack.state

    def _reject(self) -> str:
        (ack,) = ledger.rejects([RunReject(DEVICE_ID, RUN_ID, "policy", "not here")])
        return ack.state

    def _result(self, outcome: str) -> str:
        (ack,) = ledger.results([_result(outcome)])
        return ack.state

    def _cancels(self) -> bool:
        return bool(ledger.cancels())

    # People, and time.

    def _release(self) -> None:
        now = clock.now()
        rows = [(RUN_ID, True, b"terms", b"signature")]
        releasing._write_queued(rows, "key", now, now + timedelta(hours=1))

    def _cancel(self) -> None:
        try:
            cancelling.cancel_run(DeviceRun.objects.get(pk=RUN_ID), self._actor)
        except StateConflict:
            return  # it has ended

    def _expire(self) -> None:
        reconcile.expire()

    def _lose(self) -> None:
        reconcile.lose()

    def _release_claims(self) -> None:
        reconcile.release_claims()

    def _revoke(self) -> None:
        fleet.revoke(Device.objects.get(pk=DEVICE_ID), self._actor)

    def _restored(self) -> None:
        recovery.begin()

    def _give_up(self) -> None:
        recovery.end(Device.objects.get(pk=DEVICE_ID))


_WITH_SESSION = frozenset(
    {"admit", "hello", "recall", "recalled", "claim", "start", "poll", "set_ready", "giveback"}
)


class _Names:
    """Small numbers for sessions, in the order in which they are named; 0 is none."""

    def __init__(self, *numbers: int) -> None:
        self._old = [0, *dict.fromkeys(number for number in numbers if number)]

    def to(self, number: int) -> int:
        return self._old.index(number)

    def back(self, number: int) -> int:
        return self._old[number]


def _session(number: int) -> Session:
    return Session(DEVICE_ID, session_id(number))


def _result(outcome: str) -> RunResult:
    code = {"succeeded": 0, "unknown": None}.get(outcome, 1)
    return RunResult(DEVICE_ID, RUN_ID, outcome, code, {"summary": "exit"}, 0, "")


def _journal_row(entry: tuple[str, str]) -> JournalRow:
    state, outcome = entry
    return JournalRow(RUN_ID, state, _result(outcome) if outcome else None)


class untriggered:  # noqa: N801
    """Inside it the database takes any state, as a way there is not what is being looked at."""

    def __init__(self, is_wanted: bool = True) -> None:
        self._is_wanted = is_wanted

    def __enter__(self) -> None:
        if self._is_wanted:
            _execute("SET LOCAL session_replication_role = replica")

    def __exit__(self, kind: object, *_rest: object) -> None:
        if self._is_wanted and kind is None:
            _execute("SET LOCAL session_replication_role = origin")


_WRITE_DEVICE = """
UPDATE devices_device
   SET session = %s, is_ready = %s, revoked_at = CASE WHEN %s THEN now() END, in_recovery = %s,
       is_online = NOT %s
 WHERE id = %s
"""
_WRITE_RUN = """
UPDATE scheduled_task_device_runs
   SET status = %(status)s, claim_session = %(claim)s, was_lost = %(was_lost)s, has_slot = true,
       cancel_requested_at = CASE WHEN %(asked)s THEN now() END, exit_code = %(exit_code)s,
       terms = 'terms', signature = 'signature',
       started_at = CASE WHEN %(started)s THEN now() END,
       queued_at = CASE WHEN %(status)s <> 'pending' THEN now() END,
       not_after = CASE WHEN %(status)s <> 'pending' THEN
           now() + CASE WHEN %(late)s THEN interval '-1 minute' ELSE interval '1 hour' END END,
       claimed_at = CASE WHEN %(claim)s IS NOT NULL THEN now() - interval '11 minutes' END,
       deadline_at = CASE WHEN %(started)s THEN now() - interval '2 days' END,
       finished_at = CASE WHEN %(ended)s THEN now() END
 WHERE id = %(id)s
"""
_READ = """
SELECT device.session, device.is_ready, device.revoked_at IS NOT NULL, device.in_recovery,
       run.status, run.claim_session, run.cancel_requested_at IS NOT NULL,
       run.started_at IS NOT NULL, run.was_lost, run.exit_code
  FROM devices_device AS device JOIN scheduled_task_device_runs AS run ON run.device_id = device.id
 WHERE run.id = %s
"""


def write(device: DeviceRow, row: Row, late: bool) -> None:
    """Sets the rows, whatever they were."""
    revoked = device.is_revoked
    _execute(
        _WRITE_DEVICE,
        [
            _or_none(device.session),
            device.is_ready,
            revoked,
            device.in_recovery,
            revoked,
            DEVICE_ID,
        ],
    )
    _execute(
        _WRITE_RUN,
        {
            "id": RUN_ID,
            "status": row.status,
            "claim": _or_none(row.claim),
            "was_lost": row.was_lost,
            "asked": row.is_cancel_asked,
            "started": row.has_started,
            "exit_code": row.exit_code,
            "late": late,
            "ended": row.status in ENDED or row.status == "lost",
        },
    )


def read() -> tuple[DeviceRow, Row]:
    with connection.cursor() as cursor:
        cursor.execute(_READ, [RUN_ID])
        session, ready, revoked, recovery_, status, claim, asked, started, lost, code = (
            cursor.fetchone()
        )
    device = DeviceRow(_number(session), ready, revoked, recovery_)
    claim = claim if status in CLAIM_COUNTS else None
    return device, Row(status, _number(claim), asked, started, lost, code)


def _or_none(number: int) -> UUID | None:
    return session_id(number) if number else None


def _number(session: UUID | None) -> int:
    return SESSION_NUMBERS[session] if session else 0


def _execute(sql: str, parameters: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def pass_last_start() -> None:
    """Time goes by until the runs may start no more."""
    _execute(
        "UPDATE scheduled_task_device_runs SET not_after = now() - interval '1 minute'"
        " WHERE id = %s AND not_after IS NOT NULL",
        [RUN_ID],
    )
