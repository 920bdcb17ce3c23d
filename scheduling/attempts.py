"""The next attempts of an execution's devices, as its `retry` says, inside the same execution."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from scheduling import live, progress
from scheduling.models import DeviceRun, Execution
from scheduling.models.device_run import DeviceRunQuerySet
from scheduling.options import Retry

BATCH = 1_000
_GIVE_BACK = """
WITH before AS (
    UPDATE scheduled_task_device_runs AS run SET is_last_attempt = true
      FROM scheduled_task_device_runs AS never
     WHERE never.execution_id = ANY(%(executions)s) AND never.status IN ('skipped', 'cancelled')
       AND never.started_at IS NULL AND never.is_last_attempt AND never.attempt > 1
       AND never.rolls_back_id IS NULL
       AND never.device_id = coalesce(%(device)s, never.device_id)
       AND run.execution_id = never.execution_id AND run.device_id = never.device_id
       AND run.attempt = never.attempt - 1 AND run.rolls_back_id IS NULL
    RETURNING never.id
)
UPDATE scheduled_task_device_runs AS run SET is_last_attempt = false
  FROM before WHERE run.id = before.id
"""


def add(execution: Execution, now: datetime) -> bool:
    """A next attempt for every device that failed or timed out and has one left, a batch of them;
    whether there may be more. The caller holds the execution's row."""
    retry = Retry.parse(execution.definition["retry"])
    failed = list(owed(execution).defer("terms", "signature", "detail")[:BATCH])
    if failed:
        DeviceRun.objects.filter(pk__in=[run.pk for run in failed]).update(is_last_attempt=False)
        DeviceRun.objects.bulk_create([_next(run, retry, now) for run in failed])
        live.changed("execution", [execution.pk])
    return len(failed) == BATCH


def give_back(execution_ids: Collection[UUID], device: UUID | None = None) -> bool:
    """Has each device whose next attempt was skipped, or cancelled before its start, be judged by the
    attempt before that one; whether there was any. `device` limits it to one."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, {"executions": list(execution_ids), "device": device})
        given = bool(cursor.rowcount)
    if given:
        live.changed("execution", execution_ids)
    return given


def are_due(execution: Execution) -> bool:
    """Whether a device is owed its next attempt: a result that came since `add` looked."""
    return owed(execution).exists()


def owed(execution: Execution) -> DeviceRunQuerySet:
    """What is to be attempted again. What somebody asked to cancel stays as it ended, and so do what
    late evidence settled and what was to be attempted again and never was."""
    retry = Retry.parse(execution.definition["retry"])
    if retry.max_attempts == 1 or execution.abort_requested_at is not None:
        return execution.runs.none()
    following = DeviceRun.objects.filter(
        execution=execution.pk,
        device=OuterRef("device"),
        attempt=OuterRef("attempt") + 1,
        rolls_back=None,
    )
    failed = execution.runs.filter(
        progress.COUNTED,
        ~Exists(following),
        status__in=["failed", "timed_out"],
        attempt__lt=retry.max_attempts,
        was_lost=False,
        cancel_requested_at=None,
        device__revoked_at=None,
        device__isnull=False,
    )
    if retry.on_exit_codes:
        failed = failed.filter(exit_code__in=retry.on_exit_codes)
    return failed


def _next(run: DeviceRun, retry: Retry, now: datetime) -> DeviceRun:
    attempt = run.attempt + 1
    pause = timedelta(seconds=retry.delay_seconds(attempt))
    return run.another(attempt=attempt, not_before=(run.finished_at or now) + pause)
