"""The history of a task or device that is about to be deleted: it stays, and refers to it no more.

Left to the deletion it would be one statement over all of it, and after a year of runs take longer than
the database lets any statement of a request take. So it goes some rows at a time, each found by its id,
in the deletion's own transaction: half of a history is never seen without its task.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from scheduling.models import DeviceRun, Execution

AT_ONCE = 5_000


def from_task(task_id: UUID) -> None:
    """What has ended of the task's executions, in the caller's transaction."""
    ended = Execution.objects.filter(task=task_id, completed_at__isnull=False)
    _detach(ended, "task")


def from_device(device_id: UUID) -> None:
    """The device's runs of such executions; they keep its name. Of an execution under way it is still
    to be seen which attempts are of one device."""
    ended = DeviceRun.objects.filter(device=device_id, execution__completed_at__isnull=False)
    _detach(ended, "device")


def _detach(rows: QuerySet[Any], name: str) -> None:
    ids = rows.order_by("-pk").values_list("pk", flat=True)
    some = list(ids[:AT_ONCE])
    while some:
        rows.model._default_manager.filter(pk__in=some).update(**{name: None})
        some = list(ids.filter(pk__lt=some[-1])[:AT_ONCE])
