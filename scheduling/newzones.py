"""Plans of an older time zone database than this program's, made anew.

A plan is an instant. Where a zone's rules change after it was made, it is no longer the wall-clock time
that its rule says. So the newest database that all plans follow is noted; until it is this program's,
each plan is compared with its rule before it opens, and reconcile goes through all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from importlib import metadata
from uuid import UUID

import structlog
from django.db import transaction

from devices.models import Installation
from scheduling import live, planning
from scheduling.beat import mirror
from scheduling.models import ScheduledTask
from scheduling.recurrence import RuleError

log = structlog.get_logger(__name__)
AT_ONCE = 500
FARTHEST = timedelta(hours=3)
"""That a change of a zone's rules moves a time, a move across the date line aside."""
_Version = tuple[int, ...]
_followed: list[str] = [""]


@cache
def own() -> str:
    """The version of the time zone database that this program has."""
    return metadata.version("tzdata")


def stale(tasks: Iterable[ScheduledTask]) -> set[UUID]:
    """Those of these tasks whose plan their rule does not give any more."""
    known = _known()
    # Before the first look at all of them nothing is known of any.
    return {task.pk for task in tasks if is_stale(task)} if known and _is_older(known) else set()


def is_stale(task: ScheduledTask) -> bool:
    at = task.next_scheduled_for
    if at is None:
        return False
    try:
        found = task.rule.next_after(at - timedelta(microseconds=1))
    except RuleError:
        return False
    return found is None or found.at != at


def follow(task: ScheduledTask) -> None:
    """Plans the occurrence that the rule gives in the place of a stale one. An earlier one has not been
    opened where it was not there when the plan was made, which was before the task was written last.
    The caller holds the row and saves."""
    at = task.next_scheduled_for
    assert at is not None
    before = min(max(task.updated_at, at - FARTHEST), at - timedelta(microseconds=1))
    planning.set_plan(task, task.rule.next_after(before))
    log.info("plan_followed_zone", task=str(task.pk), was=str(at), now=str(task.next_scheduled_for))


def replan() -> int:
    """Makes every stale plan anew, once for each newer database, the soonest first; how many."""
    if not _is_older(_known()):
        return 0
    planned = ScheduledTask.objects.filter(next_run_time__isnull=False)
    planned = planned.exclude(recurrence_type=ScheduledTask.RecurrenceType.INTERVAL)
    ids = list(planned.order_by("next_run_time").values_list("pk", flat=True))
    moved = 0
    for start in range(0, len(ids), AT_ONCE):
        some = ScheduledTask.objects.filter(pk__in=ids[start : start + AT_ONCE])
        moved += sum(_replan(task.pk) for task in some if is_stale(task))
    Installation.objects.update_or_create(only=True, defaults={"tzdata_version": own()})
    return moved


@transaction.atomic
def _replan(pk: UUID) -> bool:
    task = ScheduledTask.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if task is None or not is_stale(task):
        return False  # it was opened, edited or deleted meanwhile
    follow(task)
    task.save()
    mirror.write(task)
    live.changed("task", [task.pk])
    return True


def _known() -> str:
    """The newest database that all plans follow; asked no more once it is this program's."""
    if not _followed[0] or _is_older(_followed[0]):
        rows = Installation.objects.filter(only=True)
        _followed[0] = rows.values_list("tzdata_version", flat=True).first() or ""
    return _followed[0]


def _is_older(version: str) -> bool:
    return _number(version) < _number(own())


def _number(version: str) -> _Version:
    return tuple(map(int, re.findall(r"\d+", version)))
