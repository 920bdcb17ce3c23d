"""Occurrences that nobody opened in time and of which each is to run: they go one after another.

Overlap is what was still under way when an occurrence was due. Of one that was missed nobody knows what
was, and what began since is another one's turn: both are waited for.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q

from scheduling import planning, progress
from scheduling.models import DeviceRun, Execution, ScheduledTask

IN_TURN = Q(misfire_policy="run_all") & ~Q(overlap_policy="allow")
"""The tasks whose occurrences may have to wait."""
PUNCTUAL = timedelta(minutes=1)
"""Opened later than this after it was due, an occurrence is one of a catch-up."""
LONGEST = timedelta(days=30)
"""Of an execution: what was opened earlier is looked for no more."""


def waits(task: ScheduledTask, now: datetime) -> bool:
    """Whether the task's due occurrence has to wait for the end of what is under way."""
    due = task.next_run_time
    if not may_wait(task, now) or due is None or not (ahead := progress.under_way(task.pk)):
        return False
    had_begun = any((one.started_at or one.created_at) <= due for one in ahead)
    if now <= due + PUNCTUAL:
        return not had_begun
    # What came due while the catch-up was going on heeds the overlap: else, where a run takes longer
    # than the time to the next, nobody would ever have caught up.
    is_overlap = _came_during_a_catch_up(task.pk, due)
    if task.overlap_policy == ScheduledTask.OverlapPolicy.CANCEL_RUNNING:
        is_overlap = is_overlap and had_begun
    return not is_overlap


def may_wait(task: ScheduledTask, now: datetime) -> bool:
    """Whether an occurrence is due of a task whose occurrences may have to wait."""
    runs_each = task.misfire_policy == ScheduledTask.MisfirePolicy.RUN_ALL
    is_due = planning.is_due(task, now)
    return is_due and runs_each and task.overlap_policy != ScheduledTask.OverlapPolicy.ALLOW


def _came_during_a_catch_up(task_id: UUID, due: datetime) -> bool:
    """Whether an execution that had been opened late was at work on a device at this instant."""
    late = Execution.objects.filter(task=task_id, created_at__gt=F("due_at") + PUNCTUAL)
    still = Q(finished_at=None) | Q(finished_at__gt=due)
    runs = DeviceRun.objects.filter(still, started_at__lte=due)
    return runs.filter(execution__in=late.opened_from(due - LONGEST)).exists()
