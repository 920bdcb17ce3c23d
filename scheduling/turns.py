"""Occurrences that are due and wait nevertheless.

Where each of those that were missed is to run, they go one after another. Overlap is what was still under
way when an occurrence was due: of one that was missed nobody knows what was, and what began since is
another one's turn, so both are waited for. On an excluded date nothing starts that is late.
"""

from __future__ import annotations

import operator
from datetime import datetime, timedelta
from functools import reduce
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext as _

from scheduling import progress
from scheduling.catching_up import PUNCTUAL
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.recurrence import RuleError

ONE_DAY = timedelta(days=1)
LONGEST = timedelta(days=30)
"""Of an execution: what was opened earlier is looked for no more."""


def waits(task: ScheduledTask, now: datetime) -> bool:
    """Whether the task's due occurrence may not be opened yet."""
    return is_held(task, now) or _waits_its_turn(task, now)


def why(task: ScheduledTask, now: datetime) -> str:
    """What the task's due occurrence waits for, in words; empty where it waits for nothing."""
    if is_held(task, now):
        return _("On an excluded date nothing starts: what was missed waits until it is over.")
    if _waits_its_turn(task, now):
        return _("An earlier execution of the task has to end first.")
    return ""


def is_held(task: ScheduledTask, now: datetime) -> bool:
    """Whether an occurrence is due that was not opened in time, and today is excluded."""
    due = task.next_run_time
    if due is None or now <= due + PUNCTUAL or not task.excluded_dates:
        return False
    try:
        return task.rule.is_excluded(now)
    except RuleError:
        return False


def goes_in_turn(task: ScheduledTask) -> bool:
    runs_each = task.misfire_policy == ScheduledTask.MisfirePolicy.RUN_ALL
    return runs_each and task.overlap_policy != ScheduledTask.OverlapPolicy.ALLOW


def may_wait(now: datetime) -> Q:
    """The tasks whose due occurrence may have to wait; some of them, for nothing."""
    ahead = Exists(Execution.objects.unended().filter(task=OuterRef("pk")))
    in_turn = Q(ahead, misfire_policy="run_all") & ~Q(overlap_policy="allow")
    days = ({"excluded_dates__contains": [str(now.date() + ONE_DAY * by)]} for by in (-1, 0, 1))
    return reduce(operator.or_, (Q(**day) for day in days), in_turn)


def _waits_its_turn(task: ScheduledTask, now: datetime) -> bool:
    due = task.next_run_time
    if due is None or due > now or not goes_in_turn(task):
        return False
    if not (ahead := progress.under_way(task.pk)):
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


def _came_during_a_catch_up(task_id: UUID, due: datetime) -> bool:
    """Whether an execution that had been opened late was at work on a device at this instant."""
    late = Execution.objects.filter(task=task_id, created_at__gt=F("due_at") + PUNCTUAL)
    still = Q(finished_at=None) | Q(finished_at__gt=due)
    runs = DeviceRun.objects.filter(still, started_at__lte=due)
    return runs.filter(execution__in=late.opened_from(due - LONGEST)).exists()
