"""Stopping what was to run: certain before its GO, a request to the device after it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, StateConflict
from scheduling import attempts, clock, hints, live, progress, rollbacks
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.options import Rollout

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

    from scheduling.models.device_run import DeviceRunQuerySet

log = structlog.get_logger(__name__)


@transaction.atomic
def cancel(execution: Execution, user: User, *, wave: int | None = None) -> Execution:
    """Cancels what has not started, for certain, and asks the devices to kill what has.

    `wave` limits it to one wave. One that is over ends as its devices did. Raises StateConflict where
    the execution has ended, InvalidInput where there is no such wave.
    """
    execution = locked(execution)
    if execution.has_ended:
        raise StateConflict(_("The execution has ended."), execution.status)
    now = clock.now()
    runs = execution.runs.all()
    if wave is not None:
        runs = runs.filter(wave=wave)
        if not runs.exists():
            raise InvalidInput({"wave": [_("This execution has no such wave.")]})
    elif not is_over(execution):
        Execution.objects.filter(pk=execution.pk).update(cancel_requested_at=now)
        execution.cancel_requested_at = now
    if execution.status == Execution.Status.PENDING:
        _end_queued([execution.pk], Execution.Status.CANCELLED, _("Cancelled while in the queue."))
    _cancel(runs, now)
    if wave is not None:
        # What has failed there is not tried again either.
        attempts.owed(execution).filter(wave=wave).update(cancel_requested_at=now)
    log.info("execution_cancelled", execution=str(execution.pk), user=user.pk, wave=wave)
    changed(execution)
    return Execution.objects.get(pk=execution.pk)


def is_over(execution: Execution) -> bool:
    """Whether all of it has ended and nothing follows, though nobody has judged it yet: it is too late
    to cancel it. The caller holds its row."""
    if execution.status != Execution.Status.RUNNING or execution.runs.unended().exists():
        return False
    rollout = Rollout.parse(execution.definition["rollout"])
    return not (attempts.are_due(execution) or rollbacks.are_due(execution, rollout))


@transaction.atomic
def cancel_run(run: DeviceRun, user: User) -> DeviceRun:
    """Cancels one run, or asks its device to. Raises StateConflict where it has ended."""
    now = clock.now()
    mine = DeviceRun.objects.filter(pk=run.pk)
    asked = _cancel(mine, now) or mine.unended().filter(cancel_requested_at__isnull=False).exists()
    run = mine.select_related("execution").get()
    if not asked:
        raise StateConflict(_("The run has ended."), run.status)
    log.info("run_cancelled", run=str(run.pk), user=user.pk)
    changed(run.execution)
    return run


def skip_queued(task: ScheduledTask, reason: str) -> None:
    """Ends the task's execution that waits in the queue, in the caller's transaction."""
    waiting = Execution.objects.filter(task=task, status=Execution.Status.PENDING)
    _end_queued(list(waiting.values_list("pk", flat=True)), Execution.Status.SKIPPED, reason)


def supersede_waiting(newer: Execution) -> None:
    """Skips what earlier executions of the task still hold for devices that are away."""
    earlier = Execution.objects.filter(task=newer.task_id).unended().exclude(pk=newer.pk)
    waiting = DeviceRun.objects.unstarted().filter(execution__in=earlier, rolls_back=None)
    waiting = waiting.on_offline_devices().out_of_recovery()
    affected = waiting.execution_ids()
    reason = _("Superseded by execution %s.") % newer.pk
    waiting.move(DeviceRun.Status.SKIPPED, finished_at=clock.now(), error_message=reason)
    hints.advance(affected)
    live.changed("execution", affected)


def cancel_as_asked(device_ids: Collection[UUID]) -> None:
    """Cancels what somebody asked to cancel while these devices were in recovery, and has no GO."""
    asked = DeviceRun.objects.unstarted().filter(
        device__in=device_ids, cancel_requested_at__isnull=False
    )
    affected = asked.execution_ids()
    asked.move(DeviceRun.Status.CANCELLED, finished_at=clock.now())
    hints.advance(affected)
    live.changed("execution", affected)


def supersede_on(device_ids: Collection[UUID], since: datetime) -> None:
    """Skips, of what piled up on these devices while they were in recovery, since this instant, all
    but each task's latest."""
    newer = DeviceRun.objects.filter(
        created_at__gte=since,
        device=OuterRef("device"),
        task_id=OuterRef("task_id"),
        execution__gt=OuterRef("execution"),
        rolls_back=None,
    )
    waiting = DeviceRun.objects.filter(
        Exists(newer), device__in=device_ids, status__in=["pending", "queued"], rolls_back=None
    )
    waiting = waiting.filter(is_exclusive=True, task_id__isnull=False)
    affected = waiting.execution_ids()
    waiting.move(
        DeviceRun.Status.SKIPPED,
        finished_at=clock.now(),
        error_message=_("Superseded by a later execution."),
    )
    hints.advance(affected)
    live.changed("execution", affected)


def skip_unstarted(execution: Execution, reason: str) -> int:
    """Skips every run of the execution that has had no GO; a started one goes on, a rollback stays,
    and one of a device in recovery is left until the device has answered."""
    return (
        execution.runs.filter(rolls_back=None)
        .unstarted()
        .out_of_recovery()
        .move(DeviceRun.Status.SKIPPED, finished_at=clock.now(), error_message=reason)
    )


def _cancel(runs: DeviceRunQuerySet, now: datetime) -> int:
    """Cancels what has had no GO, and sets the flag on what may have; how many of both."""
    cancelled = (
        runs.unstarted()
        .out_of_recovery()
        .move(DeviceRun.Status.CANCELLED, finished_at=now, cancel_requested_at=now)
    )
    maybe_started = runs.filter(status="running") | runs.unstarted().in_recovery()
    flagged = maybe_started.filter(cancel_requested_at=None).update(cancel_requested_at=now)
    return cancelled + flagged


def _end_queued(execution_ids: list[UUID], status: str, reason: str) -> None:
    result = progress.result_of(dict.fromkeys(DeviceRun.Status.values, 0))
    Execution.objects.filter(pk__in=execution_ids, status=Execution.Status.PENDING).move(
        status, completed_at=clock.now(), error_message=reason, result=result
    )
    live.changed("execution", execution_ids)


def locked(execution: Execution) -> Execution:
    return Execution.objects.select_for_update(of=("self",)).get(pk=execution.pk)


def changed(execution: Execution) -> None:
    hints.advance([execution.pk])
    hints.wake_hubs()
    live.changed("execution", [execution.pk])
