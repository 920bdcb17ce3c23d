"""Releases runs: pending → queued, with the terms written and signed. Worker and beat only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from devices import keys
from devices.agent import kinds
from devices.agent.protocol import Terms, build_terms
from devices.models import Device
from scheduling import clock, live, payloads, progress
from scheduling.models import DeviceRun, Execution, ScheduledTask

BATCH = 1_000
QUEUED_PER_DEVICE = 1_000


class _Candidate(NamedTuple):
    """As model objects, a thousand of them and their devices take longer than to sign them."""

    pk: UUID
    attempt: int
    timeout_seconds: int
    rolls_back: UUID | None
    device: UUID | None
    is_online: bool | None
    revoked_at: datetime | None


_COLUMNS = (
    "pk", "attempt", "timeout_seconds", "rolls_back", "device", "device__is_online",
    "device__revoked_at",
)  # fmt: skip


def release(execution: Execution, slots: int, now: datetime) -> bool:
    """One batch of the execution's open waves; whether there may be more to release at once.

    `slots` more runs may be on their way to devices online; those for devices away take none. The
    caller holds the execution's row.
    """
    given = _give_slots(execution, slots)
    slots -= given
    candidates = [
        *_candidates(execution, now, min(max(slots, 0), BATCH), online=True),
        *_candidates(execution, now, BATCH, online=False),
    ]
    refusals = _refusals(execution, candidates)
    for (status, reason), run_ids in refusals.items():
        ended = DeviceRun.objects.filter(pk__in=run_ids)
        ended.move(status, finished_at=now, error_message=reason)
    refused = {run_id for run_ids in refusals.values() for run_id in run_ids}
    queue = [run for run in candidates if run.pk not in refused]
    _queue(execution, queue, now)
    if given or candidates:
        live.changed("execution", [execution.pk])
    # Those refused took the places of others.
    return len(candidates) >= BATCH or bool(refused)


def take_back_slots(execution: Execution) -> int:
    """Queued runs whose device went away, or whose rollout is paused, give their slot back."""
    if execution.definition["offline_policy"] == ScheduledTask.OfflinePolicy.SKIP:
        _skip_gone(execution)
    queued = execution.runs.filter(status="queued", has_slot=True)
    if execution.rollout_paused_at is None:
        queued = queued.on_offline_devices()
    return queued.update(has_slot=False)


def _skip_gone(execution: Execution) -> None:
    """Whoever says that devices offline are skipped waits for none that has gone since."""
    gone = execution.runs.filter(status="queued", rolls_back=None).on_offline_devices()
    gone.out_of_recovery().move(
        DeviceRun.Status.SKIPPED,
        finished_at=clock.now(),
        error_message=_("The device went offline before it could start."),
    )


def _give_slots(execution: Execution, slots: int) -> int:
    """Slots for queued runs whose device came back, oldest first; how many were given."""
    waiting = execution.runs.filter(status="queued", has_slot=False, device__is_online=True)
    chosen = list(waiting.order_by("queued_at", "id").values_list("pk", flat=True)[: max(slots, 0)])
    return DeviceRun.objects.filter(pk__in=chosen, status="queued").update(has_slot=True)


def _candidates(
    execution: Execution, now: datetime, most: int, *, online: bool
) -> list[_Candidate]:
    pending = execution.runs.filter(status="pending", wave__lte=execution.open_wave).filter(
        Q(not_before=None) | Q(not_before__lte=now)
    )
    pending = pending.exclude(device__in_recovery=True)
    where = Q(device__is_online=True) if online else ~Q(device__is_online=True)
    rows = pending.filter(where).order_by("wave", "id").values_list(*_COLUMNS)[:most]
    return [_Candidate(*row) for row in rows]


def _refusals(
    execution: Execution, runs: Sequence[_Candidate]
) -> dict[tuple[str, str], list[UUID]]:
    """The runs that are not to be queued, by the state they end in and why."""
    device_ids = [run.device for run in runs if run.device]
    usable = Device.objects.visible_to(execution.user).present().filter(pk__in=device_ids)
    allowed = set(usable.values_list("pk", flat=True))
    full = _full_queues(device_ids)
    policy = execution.definition["offline_policy"]
    refusals: dict[tuple[str, str], list[UUID]] = {}
    for run in runs:
        if refusal := _refusal(run, allowed, full, policy):
            refusals.setdefault(refusal, []).append(run.pk)
    return refusals


def _refusal(
    run: _Candidate, allowed: set[UUID], full: set[UUID], policy: str
) -> tuple[str, str] | None:
    skipped, expired = DeviceRun.Status.SKIPPED, DeviceRun.Status.EXPIRED
    if run.device is None or run.revoked_at is not None:
        return skipped, _("The device is gone.")
    if run.device not in allowed:
        return skipped, right_gone()
    if run.device in full:
        return skipped, _("%s runs wait for the device already.") % QUEUED_PER_DEVICE
    # Whatever the policy says of the work, its undoing waits for its device.
    if run.is_online or run.rolls_back or policy == ScheduledTask.OfflinePolicy.QUEUE:
        return None
    is_skip = policy == ScheduledTask.OfflinePolicy.SKIP
    return skipped if is_skip else expired, _("The device was offline at release.")


def right_gone() -> str:
    """Why a run is skipped whose user has lost the device."""
    return _("The execution's user may not use the device any more.")


def _full_queues(device_ids: Sequence[UUID]) -> set[UUID]:
    """Devices for which as many runs wait as may."""
    queued = DeviceRun.objects.filter(device__in=device_ids, status="queued").order_by()
    counted = queued.values("device").annotate(number=Count("pk"))
    full = counted.filter(number__gte=QUEUED_PER_DEVICE)
    return {pk for pk in full.values_list("device", flat=True) if pk is not None}


def _queue(execution: Execution, runs: Sequence[_Candidate], now: datetime) -> int:
    """Signs and queues these runs; one that was cancelled meanwhile stays as it is."""
    if not runs:
        return 0
    signer = keys.current_signer()
    not_after = now + timedelta(seconds=execution.definition["expires_after_seconds"])
    do, undo = _common_terms(execution, now, not_after), {}
    if any(run.rolls_back for run in runs):
        undo = {**do, **_work(execution, bytes(execution.rollback_payload or b"{}"))}
    terms = [
        build_terms(
            Terms(
                run=str(run.pk),
                device=str(run.device),
                attempt=run.attempt,
                timeout_seconds=run.timeout_seconds,
                **(undo if run.rolls_back else do),
            )
        )
        for run in runs
    ]
    rows = _Rows(
        [run.pk for run in runs],
        [bool(run.is_online) for run in runs],
        _hexadecimal(terms),
        _hexadecimal(signer.sign_all(terms)),
    )
    return _write_queued(rows, signer.key_id, now, not_after)


def _common_terms(execution: Execution, now: datetime, not_after: datetime) -> dict[str, Any]:
    return {
        "server_id": str(keys.server_id()),
        "execution": str(execution.pk),
        "task": str(execution.task_id) if execution.task_id else None,
        "scheduled_for": execution.scheduled_for,
        "kind": execution.task_type,
        "not_before": now,
        "not_after": not_after,
        **_work(execution, bytes(execution.payload or b"{}")),
    }


def _work(execution: Execution, payload: bytes) -> dict[str, Any]:
    """The terms that follow from what is to be done."""
    kind, order = kinds.get(execution.task_type), payloads.from_bytes(payload)
    return {
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "files": tuple(kind.files(order)),
        "run_as": kind.requires(order).run_as,
    }


class _Rows(NamedTuple):
    ids: list[UUID]
    slots: list[bool]
    terms: str
    signatures: str


def _hexadecimal(values: Iterable[bytes]) -> str:
    """An array's text. As a list of bytes, a thousand of them take psycopg longer to write down than
    all else here takes together."""
    return "{" + ",".join(value.hex() for value in values) + "}"


def _write_queued(rows: _Rows, key_id: str, now: datetime, not_after: datetime) -> int:
    # CASE: see `ledger.grants`.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE scheduled_task_device_runs AS run
               SET status = 'queued', queued_at = %s, not_after = %s, key_id = %s,
                   has_slot = row.has_slot, terms = decode(row.terms, 'hex'),
                   signature = decode(row.signature, 'hex')
              FROM unnest(%s::uuid[], %s::bool[], %s::text[], %s::text[])
                   AS row (id, has_slot, terms, signature)
             WHERE run.id = row.id AND CASE run.status WHEN 'pending' THEN true END
            """,
            [now, not_after, key_id, *rows],
        )
        return int(cursor.rowcount)


def used_slots(execution: Execution) -> int:
    return execution.runs.filter(progress.HOLDS_SLOT).count()
