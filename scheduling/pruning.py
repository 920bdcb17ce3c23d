"""Keeps the history within its limits, in batches small enough to disturb nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django_celery_results.models import TaskResult

from accounts.models import IdempotencyKey
from scheduling import clock
from scheduling.beat import mirror
from scheduling.models import (
    DeviceRun,
    Execution,
    OutputChunk,
    OutputGap,
    ScheduledTask,
    ServiceHeartbeat,
)

BATCH = 1_000
# A run has up to 10 MiB of output: few at once, so that no transaction is long.
RUNS_AT_ONCE = 50


def prune() -> dict[str, int]:
    """Deletes what is past its time; answers how many rows of each kind (of output, runs)."""
    now = clock.now()
    output_before = now - timedelta(days=settings.DEPLOYX_KEEP_OUTPUT_DAYS)
    history_before = now - timedelta(days=settings.DEPLOYX_KEEP_HISTORY_DAYS)
    results_before = now - timedelta(days=settings.DEPLOYX_KEEP_RESULTS_DAYS)
    return {
        "output": _prune_output(output_before),
        "executions": _delete(Execution.objects.filter(completed_at__lt=history_before)),
        "ad_hoc_tasks": _prune_ad_hoc(history_before),
        "results": _delete(TaskResult.objects.filter(date_done__lt=results_before)),
        "idempotency_keys": _delete(
            IdempotencyKey.objects.filter(created_at__lt=now - timedelta(days=1))
        ),
        "heartbeats": _delete(ServiceHeartbeat.objects.filter(seen_at__lt=now - timedelta(days=1))),
    }


def _prune_output(before: datetime) -> int:
    """Of each run that ended before this, the output becomes one gap that says how much it was."""
    old = DeviceRun.objects.filter(finished_at__lt=before, output_kept__gt=0).order_by("pk")
    pruned = 0
    while runs := list(old.only("pk", "output_next")[:RUNS_AT_ONCE]):
        with transaction.atomic():
            OutputChunk.objects.filter(run__in=runs).delete()
            OutputGap.objects.filter(run__in=runs).delete()
            OutputGap.objects.bulk_create(
                OutputGap(run=run, offset=0, bytes=run.output_next) for run in runs
            )
            DeviceRun.objects.filter(pk__in=[run.pk for run in runs]).update(
                output_kept=0, output_truncated=True
            )
        pruned += len(runs)
    return pruned


def _prune_ad_hoc(before: datetime) -> int:
    """Tasks that "Execute now" made go with the execution they were made for."""
    rows = ScheduledTask.objects.filter(ad_hoc=True, created_at__lt=before, executions=None)
    pruned = 0
    while tasks := list(rows.select_related("periodic_task").order_by("pk")[:BATCH]):
        with transaction.atomic():
            for task in tasks:
                mirrored = task.periodic_task
                task.delete()
                mirror.remove(mirrored)
        pruned += len(tasks)
    return pruned


def _delete(rows: QuerySet[Any]) -> int:
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
