"""What a device proves or gives back: outcomes, refusals, and claims it will not start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.utils.translation import gettext as _

from devices.ledger_port import RunAck, RunGiveback, RunReject, RunResult
from devices.models import Device
from scheduling import alarms, clock, hints, inventory, live, settling
from scheduling.ledger.grants import DEADLINE_GRACE_SECONDS
from scheduling.models import DeviceRun, OutputGap

log = structlog.get_logger(__name__)
ENDED_FOR_GOOD = ("succeeded", "failed", "timed_out", "cancelled")
_TOLD = frozenset({"installed", "reboot_required"})
NEVER_STARTED = frozenset({"expired", "skipped", "rejected"})

# CASE: see `grants`.
_RESULTS = """
UPDATE scheduled_task_device_runs AS run
   SET status = CASE
           WHEN given.outcome = 'unknown' THEN 'lost'
           WHEN given.outcome = 'cancelled' AND run.cancel_requested_at IS NULL THEN 'failed'
           ELSE given.outcome END,
       was_lost = given.outcome = 'unknown',
       finished_at = now(), exit_code = given.exit_code, detail = given.detail,
       error_message = given.message, output_finished = given.outcome <> 'unknown',
       output_sha256 = CASE WHEN given.output_length = run.output_sent AND run.output_sent > 0
           THEN given.output_sha256 ELSE '' END
  FROM unnest(%(runs)s::uuid[], %(devices)s::uuid[], %(outcomes)s::text[], %(codes)s::bigint[],
              %(details)s::jsonb[], %(messages)s::text[], %(lengths)s::bigint[], %(digests)s::text[])
       AS given (run_id, device_id, outcome, exit_code, detail, message, output_length,
                 output_sha256)
 WHERE run.id = given.run_id AND run.device_id = given.device_id
   AND CASE run.status WHEN 'running' THEN true END
RETURNING run.device_id, run.id, run.status, run.execution_id, run.output_sent
"""


@transaction.atomic
def results(given: Sequence[RunResult]) -> list[RunAck]:
    """Records outcomes; a repeat, or a result for what ended otherwise, is acknowledged as it is."""
    # By device as well: a device that names another's run must not push its result aside.
    by_key = {(one.device, one.run): one for one in given}
    moved = _record(list(by_key.values()))
    for device_id, run_id, _status, _execution, output_sent in moved:
        _mark_missing_output(run_id, output_sent, by_key.pop((device_id, run_id)).output_length)
    acks = [RunAck(device_id, run_id, status) for device_id, run_id, status, *_ in moved]
    acks += _answer_others(list(by_key.values()))
    tell({execution_id for *_, execution_id, _ in moved})
    return acks


@transaction.atomic
def rejects(given: Sequence[RunReject]) -> list[RunAck]:
    """claimed → rejected: the device refused before it journaled anything."""
    for one in given:
        mine = DeviceRun.objects.filter(pk=one.run, device=one.device, status="claimed")
        mine.move(
            DeviceRun.Status.REJECTED,
            finished_at=clock.now(),
            error_message=f"{one.code}: {one.detail}",
            detail={"reject_code": one.code},
        )
    return _acks((one.device, one.run) for one in given)


@transaction.atomic
def givebacks(given: Sequence[RunGiveback]) -> list[RunAck]:
    """claimed → queued, by the session that claimed; one from an earlier session changes nothing.

    The device gets no new claim until a poll of its says `ready` again.
    """
    for one in given:
        mine = DeviceRun.objects.filter(
            pk=one.run,
            device=one.session.device,
            claim_session=one.session.session,
            status="claimed",
        )
        mine.move(DeviceRun.Status.QUEUED, claim_session=None, claimed_at=None)
        Device.objects.filter(pk=one.session.device, session=one.session.session).update(
            is_ready=False
        )
    return _acks((one.session.device, one.run) for one in given)


def _answer_others(given: Sequence[RunResult]) -> list[RunAck]:
    """For results that moved nothing. Most are repeats, and the busier the server the more of them
    come: whatever has ended for good is answered by one question for all."""
    ended = _ended_for_good([one.run for one in given])
    return [
        RunAck(one.device, one.run, ended.get((one.device, one.run)) or settle(one))
        for one in given
    ]


def _ended_for_good(run_ids: Sequence[UUID]) -> dict[tuple[UUID | None, UUID], str]:
    """The state by device and run."""
    if not run_ids:
        return {}
    ran = DeviceRun.objects.filter(pk__in=run_ids, started_at__isnull=False)
    rows = ran.filter(status__in=ENDED_FOR_GOOD).values_list("device", "pk", "status")
    return {(device_id, run_id): status for device_id, run_id, status in rows}


def never_started(run: DeviceRun) -> bool:
    return run.status in NEVER_STARTED or (run.status == "cancelled" and run.started_at is None)


def settle(result: RunResult) -> str:
    """One result against its row, whatever state that is in; answers the state it has now."""
    mine = DeviceRun.objects.filter(pk=result.run, device=result.device).select_related("device")
    run = mine.select_for_update(of=("self",)).first()
    if run is None:
        return "unknown"
    if run.status in DeviceRun.UNSTARTED:
        begin_unasked(run)
    if run.status == "running":
        _record([result])
        _mark_missing_output(run.pk, run.output_sent, result.output_length)
    elif run.status == "lost" and result.outcome != "unknown":
        _settle_lost(run, result)
        _mark_missing_output(run.pk, run.output_sent, result.output_length)
    elif never_started(run):
        alarms.ran_after_its_end(run)
    run.refresh_from_db(fields=["status"])
    tell({run.execution_id})
    return run.status


def _settle_lost(run: DeviceRun, result: RunResult) -> None:
    outcome = result.outcome
    if outcome == "cancelled" and run.cancel_requested_at is None:
        outcome = "failed"
    move(
        run,
        outcome,
        was_lost=True,
        finished_at=clock.now(),
        exit_code=result.exit_code,
        detail=dict(result.detail),
        error_message=_message(result),
        output_finished=True,
        output_sha256=result.output_sha256 if result.output_length == run.output_sent else "",
    )
    if run.device_id is not None:
        live.changed("software", inventory.note(run.device_id, run.pk, result.detail, clock.now()))
    log.info("lost_run_settled", run=str(run.pk), status=outcome)
    settling.rewrite_by_late_evidence(run.execution_id)


def _record(given: Sequence[RunResult]) -> list[tuple[UUID, UUID, str, UUID, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            _RESULTS,
            {
                "runs": [one.run for one in given],
                "devices": [one.device for one in given],
                "outcomes": [one.outcome for one in given],
                "codes": [one.exit_code for one in given],
                "details": [json.dumps(dict(one.detail)) for one in given],
                "messages": [_message(one) for one in given],
                "lengths": [one.output_length for one in given],
                "digests": [one.output_sha256 for one in given],
            },
        )
        moved = list(cursor.fetchall())
    _note_software(given, moved)
    return moved


def _note_software(
    given: Sequence[RunResult], moved: Iterable[tuple[UUID, UUID, str, UUID, int]]
) -> None:
    told = {(one.device, one.run): one.detail for one in given if _TOLD & one.detail.keys()}
    if not told:
        return
    now = clock.now()
    entries: set[UUID] = set()
    # Devices in the order of their ids, as everywhere.
    for device_id, run_id, *_rest in sorted(moved):
        if detail := told.get((device_id, run_id)):
            entries |= inventory.note(device_id, run_id, detail, now)
    live.changed("software", entries)


def _message(result: RunResult) -> str:
    if result.outcome == "unknown":
        return _(
            "The device cannot tell how it ended: it may have run wholly, partly or not at all."
        )
    if result.outcome == "succeeded":
        return ""
    return str(result.detail.get("summary", ""))[:2_000]


def _mark_missing_output(run_id: UUID, output_sent: int, output_length: int) -> None:
    """Bytes the device says it sent and the server does not have are a gap, marked as one."""
    if output_length <= output_sent:
        return
    run = DeviceRun.objects.only("output_next").get(pk=run_id)
    missing = output_length - output_sent
    OutputGap.objects.create(run_id=run_id, offset=run.output_next, bytes=missing)
    DeviceRun.objects.filter(pk=run_id).update(
        output_truncated=True,
        output_next=run.output_next + missing,
        output_sent=output_length,
        output_sha256="",
    )


def begin_unasked(run: DeviceRun) -> None:
    """What the device began and this row knows nothing of: after a restore that is to be expected,
    else it is an alarm. The run comes with its device; this transaction holds it."""
    if run.device is not None and run.device.in_recovery:
        _begin(run)
    else:
        alarms.ran_before_its_start(run)
        lose(run, _("The device had started this run before the server knew of it."))


def _begin(run: DeviceRun) -> None:
    """→ running, at an instant that the lost database knew; its time limit is counted from now."""
    now = clock.now()
    deadline = now + timedelta(seconds=run.timeout_seconds + DEADLINE_GRACE_SECONDS)
    mine = DeviceRun.objects.filter(pk=run.pk, status__in=DeviceRun.UNSTARTED)
    if mine.update(status=DeviceRun.Status.RUNNING, started_at=now, deadline_at=deadline):
        run.status = DeviceRun.Status.RUNNING
        log.info("run_recovered", run=str(run.pk))


def lose(run: DeviceRun, reason: str) -> None:
    move(run, DeviceRun.Status.LOST, was_lost=True, finished_at=clock.now(), error_message=reason)


def move(run: DeviceRun, target: str, **changes: object) -> None:
    """Moves a row this transaction holds, and the object with it."""
    if DeviceRun.objects.filter(pk=run.pk).move(target, **changes):
        run.status = target


def _acks(pairs: Iterable[tuple[UUID, UUID]]) -> list[RunAck]:
    pairs = list(pairs)
    states = {
        (device_id, run_id): (status, execution_id)
        for device_id, run_id, status, execution_id in DeviceRun.objects.filter(
            pk__in=[run_id for _, run_id in pairs]
        ).values_list("device", "pk", "status", "execution")
    }
    tell({execution_id for _, execution_id in states.values()})
    return [RunAck(*pair, states.get(pair, ("unknown", None))[0]) for pair in pairs]


def tell(execution_ids: set[UUID]) -> None:
    hints.advance(execution_ids)
    live.changed("execution", execution_ids)
