"""From queued to running: claims, repeats of lost grants and GOs, and the point of no return."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from devices.ledger_port import PollAnswer, RunGo, RunGrant, RunStop, Session
from scheduling import clock, live
from scheduling.models import DeviceRun, Execution

# A run past its own deadline for this long will not come back by the agent's own timeout.
DEADLINE_GRACE_SECONDS = 60

# A run's state is asked for by CASE where its id is known: a burst is under way before the planner's
# statistics know of any run in that state, and expecting none it would go through them all for each.
# `IS TRUE` keeps it, where the id is not known, from the index by not_after, which holds all of them.
_CLAIM = """
WITH session AS (
    SELECT device.id AS device_id, given.session
      FROM unnest(%(devices)s::uuid[], %(sessions)s::uuid[]) AS given (device_id, session)
      JOIN devices_device AS device
        ON device.id = given.device_id AND device.session = given.session
     WHERE device.revoked_at IS NULL AND NOT device.in_recovery AND device.is_ready
), candidate AS (
    SELECT run.id, session.session,
           row_number() OVER (
               PARTITION BY run.device_id ORDER BY run.queued_at, run.id
           ) + busy.runs AS place
      FROM session
     CROSS JOIN LATERAL (
        SELECT count(*) AS runs
          FROM scheduled_task_device_runs AS held
         WHERE held.device_id = session.device_id AND held.status IN ('claimed', 'running')
     ) AS busy
     CROSS JOIN LATERAL (
        SELECT queued.id, queued.queued_at, queued.device_id
          FROM scheduled_task_device_runs AS queued
         WHERE queued.device_id = session.device_id AND queued.status = 'queued'
           AND queued.has_slot AND (queued.not_after > now()) IS TRUE
           AND NOT (queued.is_exclusive AND queued.task_id IS NOT NULL AND EXISTS (
                SELECT 1 FROM scheduled_task_device_runs AS other
                 WHERE other.device_id = queued.device_id AND other.task_id = queued.task_id
                   AND other.id <> queued.id AND (
                       other.status IN ('claimed', 'running')
                       OR other.status = 'queued' AND other.has_slot
                          AND (other.queued_at, other.id) < (queued.queued_at, queued.id))))
         ORDER BY queued.queued_at, queued.id
         LIMIT %(per_device)s
     ) AS run
)
UPDATE scheduled_task_device_runs AS run
   SET status = 'claimed', claimed_at = now(), claim_session = candidate.session
  FROM candidate
 WHERE run.id = candidate.id AND candidate.place <= %(per_device)s
   AND CASE run.status WHEN 'queued' THEN run.has_slot END
RETURNING run.id, run.execution_id
"""

_START = """
UPDATE scheduled_task_device_runs AS run
   SET status = 'running', started_at = now(),
       deadline_at = now() + make_interval(secs => run.timeout_seconds + %(grace)s)
  FROM unnest(%(runs)s::uuid[], %(devices)s::uuid[], %(sessions)s::uuid[])
       AS given (run_id, device_id, session), devices_device AS device
 WHERE run.id = given.run_id AND run.device_id = given.device_id
   AND CASE run.status WHEN 'claimed' THEN true END
   AND run.claim_session = given.session AND run.cancel_requested_at IS NULL
   AND (run.not_after > now()) IS TRUE
   AND device.id = given.device_id AND device.session = given.session
   AND device.revoked_at IS NULL AND NOT device.in_recovery
RETURNING run.id, run.device_id, run.timeout_seconds, run.execution_id
"""

_UNDER_WAY = """
SELECT run.device_id, run.claim_session, run.id, run.status, run.timeout_seconds
  FROM unnest(%(devices)s::uuid[], %(sessions)s::uuid[]) AS given (device_id, session)
  JOIN scheduled_task_device_runs AS run
    ON run.device_id = given.device_id AND run.claim_session = given.session
   AND run.status IN ('claimed', 'running')
  JOIN devices_device AS device
    ON device.id = given.device_id AND device.session = given.session
   AND NOT device.in_recovery
"""


@transaction.atomic
def claim(sessions: Sequence[Session]) -> list[RunGrant]:
    """Claims what is queued, holds a slot and may run, oldest first, within each device's limit."""
    if not sessions:
        return []
    rows = _fetch(
        _CLAIM,
        {
            "devices": [one.device for one in sessions],
            "sessions": [one.session for one in sessions],
            "per_device": settings.DEPLOYX_RUNS_PER_DEVICE,
        },
    )
    live.changed("execution", {execution_id for _, execution_id in rows})
    return _grants([run_id for run_id, _ in rows])


@transaction.atomic
def start(starts: Sequence[tuple[Session, UUID]]) -> list[RunGo | RunStop]:
    """GO or not, for each; a GO that this session was given already is given again."""
    rows = _fetch(
        _START,
        {
            "runs": [run_id for _, run_id in starts],
            "devices": [session.device for session, _ in starts],
            "sessions": [session.session for session, _ in starts],
            "grace": DEADLINE_GRACE_SECONDS,
        },
    )
    gone = {run_id: RunGo(device, run_id, timeout) for run_id, device, timeout, _ in rows}
    live.changed("execution", [execution_id for *_, execution_id in rows])
    rest = [(session, run_id) for session, run_id in starts if run_id not in gone]
    return [*gone.values(), *_answers(rest)]


def poll(session: Session, holding: Mapping[UUID, str]) -> PollAnswer:
    """Grants this session's claims that the agent does not hold, and GOs it may have missed."""
    return dict(polls([(session, holding)]))[session]


@transaction.atomic
def polls(
    asked: Sequence[tuple[Session, Mapping[UUID, str]]],
) -> list[tuple[Session, PollAnswer]]:
    """The same for many sessions."""
    held = dict(asked)
    answers = {session: PollAnswer() for session in held}
    missing: dict[UUID, Session] = {}
    for device, claimed_in, run_id, status, timeout in _under_way(list(held)):
        session = Session(device, claimed_in)
        if status == "claimed" and run_id not in held[session]:
            missing[run_id] = session
        elif status == "running" and held[session].get(run_id) == "claimed":
            answers[session].gos.append(RunGo(device, run_id, timeout))
    for grant in _grants(missing) if missing else ():
        answers[missing[grant.run]].grants.append(grant)
    return list(answers.items())


def _under_way(sessions: Sequence[Session]) -> list[tuple[Any, ...]]:
    """The runs that these sessions claimed, while each is still its device's live one."""
    given = {"devices": [s.device for s in sessions], "sessions": [s.session for s in sessions]}
    return _fetch(_UNDER_WAY, given)


def unsettled(devices: Collection[UUID]) -> set[UUID]:
    """Those of these devices that have runs claimed or running."""
    runs = DeviceRun.objects.filter(device__in=devices, status__in=["claimed", "running"])
    return {
        pk for pk in runs.order_by().values_list("device", flat=True).distinct() if pk is not None
    }


def waiting() -> set[UUID]:
    """The devices that may have something to claim."""
    queued = DeviceRun.objects.filter(status="queued", has_slot=True, device__isnull=False)
    return {
        pk for pk in queued.order_by().values_list("device", flat=True).distinct() if pk is not None
    }


def cancels() -> dict[UUID, list[UUID]]:
    """The runs that are to be killed, by device: a lost one may still be at work there."""
    asked = DeviceRun.objects.filter(
        device__isnull=False, status__in=["running", "lost"], cancel_requested_at__isnull=False
    )
    by_device: dict[UUID, list[UUID]] = {}
    for device_id, run_id in asked.order_by().values_list("device", "pk"):
        by_device.setdefault(device_id, []).append(run_id)
    return by_device


def _grants(run_ids: Iterable[UUID]) -> list[RunGrant]:
    runs = DeviceRun.objects.filter(pk__in=list(run_ids)).order_by("queued_at", "id")
    rows = runs.values_list(
        "device", "pk", "key_id", "terms", "signature", "rolls_back", "execution"
    )
    payloads = _payloads({execution_id for *_, execution_id in rows})
    return [
        RunGrant(
            device,
            run_id,
            key_id,
            bytes(terms or b""),
            bytes(signature or b""),
            payloads[execution_id][1 if rolls_back else 0],
        )
        for device, run_id, key_id, terms, signature, rolls_back, execution_id in rows
    ]


def _payloads(execution_ids: set[UUID]) -> dict[UUID, tuple[bytes, bytes]]:
    rows = Execution.objects.filter(pk__in=execution_ids).values_list(
        "pk", "payload", "rollback_payload"
    )
    return {pk: (bytes(payload or b""), bytes(rollback or b"")) for pk, payload, rollback in rows}


def _answers(starts: Sequence[tuple[Session, UUID]]) -> list[RunGo | RunStop]:
    """For starts that moved nothing: the GO again where this session has it, else why not."""
    runs = {
        run.pk: run
        for run in DeviceRun.objects.filter(pk__in=[run_id for _, run_id in starts])
        .select_related("device")
        .only(
            "status",
            "claim_session",
            "timeout_seconds",
            "cancel_requested_at",
            "not_after",
            "device__session",
            "device__revoked_at",
        )
    }
    return [_answer(session, run_id, runs.get(run_id)) for session, run_id in starts]


def _answer(session: Session, run_id: UUID, run: DeviceRun | None) -> RunGo | RunStop:
    device = session.device
    if run is None or run.device is None or run.device_id != device:
        return RunStop(device, run_id, "unknown")
    if run.device.revoked_at is not None:
        return RunStop(device, run_id, "revoked")
    if run.status == "running" and run.claim_session == session.session:
        return RunGo(device, run_id, run.timeout_seconds)
    if run.status == "cancelled" or run.cancel_requested_at is not None:
        return RunStop(device, run_id, "cancelled")
    # What is left is past its time or skipped, another session's, or of a device in recovery.
    return RunStop(device, run_id, "expired" if _is_too_late(run) else "unknown")


def _is_too_late(run: DeviceRun) -> bool:
    if run.status == "claimed":
        return run.not_after is not None and run.not_after <= clock.now()
    return run.status in ("expired", "skipped")


def _fetch(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
