"""A task's plan: its next occurrence, and the status that follows from plan and executions."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from scheduling import progress
from scheduling.models import Execution, ScheduledTask, TaskDependency
from scheduling.recurrence import Occurrence, RuleError

FAILED = frozenset({Execution.Status.FAILED, Execution.Status.PARTIAL, Execution.Status.MISSED})


def plan_after(task: ScheduledTask, after: datetime) -> None:
    """Sets the first occurrence after this instant, or none where there is none left."""
    if task.is_paused or is_used_up(task):
        clear(task)
    else:
        set_plan(task, task.rule.next_after(after))


def set_plan(task: ScheduledTask, occurrence: Occurrence | None) -> None:
    task.next_scheduled_for = occurrence.at if occurrence else None
    task.next_run_time = occurrence.due if occurrence else None
    task.announced_for = task.announced_at = None


def clear(task: ScheduledTask) -> None:
    set_plan(task, None)


def is_due(task: ScheduledTask, now: datetime) -> bool:
    return task.next_run_time is not None and task.next_run_time <= now


def is_used_up(task: ScheduledTask) -> bool:
    return task.max_runs is not None and task.scheduled_run_count >= task.max_runs


def next_runs(task: ScheduledTask, number: int, now: datetime) -> list[Occurrence]:
    """So many of its plan at most, from now on: none where it is paused, has come to its end, or its
    rule is none any more."""
    if task.next_scheduled_for is None:
        return []
    if task.max_runs is not None:
        number = min(number, task.max_runs - task.scheduled_run_count)
    try:
        return task.rule.next_runs(now, max(number, 0))
    except RuleError:
        return []


def has_something_left(task: ScheduledTask) -> bool:
    """Whether anything can still come by itself: a next run, a parent's end, an open execution."""
    return (
        task.next_run_time is not None
        or task.dependencies.exists()
        or task.executions.unended().exists()
    )


def nothing_left() -> Q:
    """The tasks that have nothing left, as `has_something_left` judges one."""
    of_the_task = {"task": OuterRef("pk")}
    return (
        Q(next_run_time=None)
        & ~Exists(TaskDependency.objects.filter(**of_the_task))
        & ~Exists(Execution.objects.unended().filter(**of_the_task))
    )


def refresh_status(task: ScheduledTask) -> None:
    """Sets `status` to the first that holds (api.md's order); the caller saves and holds the row."""
    task.status = _status(task)


def _status(task: ScheduledTask) -> ScheduledTask.Status:
    is_running = not task.is_paused and any(
        one.status == Execution.Status.RUNNING for one in progress.under_way(task.pk)
    )
    latest = None if task.is_paused or is_running else progress.latest_ended(task.pk)
    return status_of(
        task, is_running=is_running, latest=latest.status if latest else None, has_open=False
    )


def status_of(
    task: ScheduledTask, *, is_running: bool, latest: str | None, has_open: bool
) -> ScheduledTask.Status:
    """The status of a task with these executions: one that runs, the end of the latest that ended,
    one that has not (asked of the database where nothing else says that something is left)."""
    status = ScheduledTask.Status
    if task.is_paused:
        return status.PAUSED
    if is_running:
        return status.RUNNING
    if latest in FAILED:
        return status.FAILED
    return status.PENDING if has_open or has_something_left(task) else status.COMPLETED
