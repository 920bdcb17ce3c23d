"""The next attempts of an execution's devices, as its `retry` says, inside the same execution."""

from __future__ import annotations

from datetime import datetime, timedelta

from scheduling import live, progress
from scheduling.models import DeviceRun, Execution
from scheduling.models.device_run import DeviceRunQuerySet
from scheduling.options import Retry

BATCH = 1_000


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


def are_due(execution: Execution) -> bool:
    """Whether a device is owed its next attempt: a result that came since `add` looked."""
    return owed(execution).exists()


def owed(execution: Execution) -> DeviceRunQuerySet:
    """What is to be attempted again. What somebody asked to cancel stays as it ended, and so does
    what late evidence settled."""
    retry = Retry.parse(execution.definition["retry"])
    if retry.max_attempts == 1 or execution.abort_requested_at is not None:
        return execution.runs.none()
    failed = execution.runs.filter(
        progress.COUNTED,
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
