"""Occurrences that have come: opened one by one until nothing of a task is due any more."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError

from scheduling import opening
from scheduling.models import ScheduledTask
from scheduling.recurrence import RuleError

log = structlog.get_logger(__name__)
# A task that fell behind opens at most so many at a time, lest it hold everybody else up.
AT_ONCE = 20


def open_all(task_id: UUID, scheduled_for: datetime | None, opened_by: str) -> int:
    """Opens the task's due occurrences, the named one first; how many rows that made."""
    for number in range(AT_ONCE):
        try:
            execution = opening.open_due(task_id, scheduled_for, opened_by)
        except IntegrityError as error:
            log.warning("occurrence_open_already", task=str(task_id), error=str(error))
            return number
        except RuleError as error:
            log.error("task_has_no_valid_rule", task=str(task_id), errors=error.errors)
            return number
        if execution is None:
            return number
        scheduled_for = None
    return AT_ONCE


def open_everything(opened_by: str, limit: int = 200) -> int:
    """Opens what is due over all tasks, the longest overdue first."""
    overdue = ScheduledTask.objects.due().order_by("next_run_time")
    task_ids = list(overdue.values_list("pk", flat=True)[:limit])
    return sum(open_all(task_id, None, opened_by) for task_id in task_ids)
