"""Undoing what a transactional rollout did: on each device to be rolled back, a run of its own.

A device that failed or timed out with its attempts used up is rolled back at once; once the rollout
was aborted and what had started has ended, those that succeeded are as well. Lost devices are not:
nobody knows what there is to undo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from scheduling import attempts, live, progress
from scheduling.models import DeviceRun, Execution
from scheduling.options import TRANSACTIONAL, Rollout

if TYPE_CHECKING:
    from scheduling.models.device_run import DeviceRunQuerySet

BATCH = 1_000
_BULKY = ("terms", "signature", "detail")


def add(execution: Execution, rollout: Rollout) -> bool:
    """A rollback for every run that is to be undone and has none, a batch of them; whether there may
    be more. The caller holds the execution's row."""
    if rollout.strategy != TRANSACTIONAL:
        return False
    undone = _to_undo(execution)
    if undone:
        DeviceRun.objects.bulk_create([run.another(rolls_back=run) for run in undone])
        live.changed("execution", [execution.pk])
    return len(undone) >= BATCH


def are_due(execution: Execution, rollout: Rollout) -> bool:
    """Whether a device is owed its rollback: a result that came since `add` looked."""
    return rollout.strategy == TRANSACTIONAL and bool(_to_undo(execution))


def undoable(execution: Execution) -> int | None:
    """On how many devices it has succeeded and is not undone: an abort undoes it there, a cancel
    leaves it. None where nothing is ever undone, or waits in the queue."""
    if Rollout.parse(execution.definition.get("rollout", {})).strategy != TRANSACTIONAL:
        return None
    return _standing(execution).filter(status="succeeded").count()


def unsuccessful(execution: Execution) -> int:
    """Rollbacks that ended otherwise than well."""
    ended = execution.runs.filter(rolls_back__isnull=False).exclude(status="succeeded")
    return ended.exclude(status__in=DeviceRun.UNENDED).count()


def _to_undo(execution: Execution) -> list[DeviceRun]:
    undo = ["failed", "timed_out"]
    started = execution.runs.filter(rolls_back=None)
    if execution.abort_requested_at is not None and not progress.active(started).exists():
        undo.append("succeeded")
    # A result that has just come may have an attempt left.
    ended = _standing(execution).filter(status__in=undo)
    ended = ended.exclude(pk__in=attempts.owed(execution).values("pk"))
    return [*ended.defer(*_BULKY)[:BATCH], *_left_by_an_attempt_that_never_was(execution)]


def _standing(execution: Execution) -> DeviceRunQuerySet:
    """What has no rollback and may get one."""
    return execution.runs.filter(
        progress.COUNTED,
        ~Exists(DeviceRun.objects.filter(rolls_back=OuterRef("pk"))),
        was_lost=False,
        device__isnull=False,
    )


def _left_by_an_attempt_that_never_was(execution: Execution) -> list[DeviceRun]:
    """The attempts before those that an abort skipped, or that expired: they stand as they failed."""
    never_was = execution.runs.filter(
        progress.COUNTED,
        attempt__gt=1,
        status__in=["skipped", "cancelled", "expired", "rejected"],
        started_at=None,
        device__isnull=False,
    )
    device_ids = set(never_was.values_list("device", flat=True))
    if device_ids:
        # Set against set here: joined, the database may compare each with each.
        undone = execution.runs.filter(rolls_back__isnull=False)
        device_ids -= set(undone.values_list("device", flat=True))
    chosen = sorted(filter(None, device_ids))[:BATCH]
    before = execution.runs.filter(device__in=chosen, rolls_back=None, is_last_attempt=False)
    by_device = {run.device_id: run for run in before.order_by("attempt").defer(*_BULKY)}
    return list(by_device.values())
