"""Keeps the history within its limits, in batches small enough to disturb nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django_celery_results.models import TaskResult

from accounts.models import IdempotencyKey
from scheduling import clock
from scheduling.models import DeviceRun, Execution, OutputChunk, ServiceHeartbeat

BATCH = 1_000


def prune() -> dict[str, int]:
    """Deletes what is past its time; answers how many rows of each kind."""
    now = clock.now()
    output_before = now - timedelta(days=settings.DEPLOYX_KEEP_OUTPUT_DAYS)
    history_before = now - timedelta(days=settings.DEPLOYX_KEEP_HISTORY_DAYS)
    results_before = now - timedelta(days=settings.DEPLOYX_KEEP_RESULTS_DAYS)
    return {
        "output": _delete(OutputChunk.objects.filter(run__in=_ended_runs(output_before))),
        "executions": _delete(Execution.objects.filter(completed_at__lt=history_before)),
        "results": _delete(TaskResult.objects.filter(date_done__lt=results_before)),
        "idempotency_keys": _delete(
            IdempotencyKey.objects.filter(created_at__lt=now - timedelta(days=1))
        ),
        "heartbeats": _delete(ServiceHeartbeat.objects.filter(seen_at__lt=now - timedelta(days=1))),
    }


def _ended_runs(before: Any) -> QuerySet[DeviceRun]:
    return DeviceRun.objects.filter(finished_at__lt=before, output_next__gt=0)


def _delete(rows: QuerySet[Any]) -> int:
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
