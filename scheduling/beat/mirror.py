"""Keeps each task's one PeriodicTask in step, so that the admin and a stock scheduler see it.

Rows are written by queryset methods on purpose: they run no signals, and a signal of
django-celery-beat makes every scheduler reload everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.db import DatabaseError, transaction
from django.db.models import Model
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
)

from scheduling.models import ScheduledTask
from scheduling.recurrence import Rule, RuleError

S = TypeVar("S", bound=Model)
OPEN_DUE = "scheduling.tasks.open_due"


def write(task: ScheduledTask) -> None:
    """Brings the task's PeriodicTask in step, in the caller's transaction."""
    _write([task], tell_stock=True)


def write_opened(tasks: Iterable[ScheduledTask], *, by_beat: bool) -> None:
    """The same for tasks of which an occurrence has just opened.

    Where our beat announced it, no stock scheduler has to hear of it. Else a row that is armed anew
    is a new one: the old one a stock scheduler writes back as it remembers it, with the moment it
    sent its message, from which an interval would drift, and as a one-off that was run already.
    """
    _write(tasks, tell_stock=not by_beat, renews=not by_beat)


def _write(tasks: Iterable[ScheduledTask], *, tell_stock: bool, renews: bool = False) -> None:
    """What changes alike is written in one query."""
    changes: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    moved: list[ClockedSchedule] = []
    created = False
    for task in tasks:
        mirrored, moved_before = task.periodic_task, len(moved)
        wanted = _wanted(task, mirrored, moved)
        changed = _changed(mirrored, wanted) if mirrored else {}
        is_armed = wanted["enabled"] and wanted["crontab"] is None
        if mirrored is None or (renews and is_armed and (changed or len(moved) > moved_before)):
            _create(task, wanted)
            created = True
        elif changed:
            changes.setdefault(tuple(changed.items()), []).append(mirrored.pk)
    for values, ids in changes.items():
        PeriodicTask.objects.filter(pk__in=ids).update(**dict(values))
    if moved:
        ClockedSchedule.objects.bulk_update(moved, ["clocked_time"])
    # Of a row that is not armed anew, a stock scheduler that ran it has nothing to learn.
    if tell_stock and (created or (not renews and (changes or moved))):
        transaction.on_commit(_set_change_flag, robust=True)


def _create(task: ScheduledTask, wanted: dict[str, Any]) -> None:
    """A new row, in place of the one there may be: names are unique."""
    if task.periodic_task is not None:
        PeriodicTask.objects.filter(pk=task.periodic_task.pk)._raw_delete("default")
    (mirrored,) = PeriodicTask.objects.bulk_create([PeriodicTask(**wanted)])
    task.periodic_task = mirrored
    ScheduledTask.objects.filter(pk=task.pk).update(periodic_task=mirrored)


def _changed(mirrored: PeriodicTask, wanted: dict[str, Any]) -> dict[str, Any]:
    """What is not as wanted, set in memory as well."""
    changed = {name: value for name, value in wanted.items() if getattr(mirrored, name) != value}
    for name, value in changed.items():
        setattr(mirrored, name, value)
    return changed


def remove(mirrored: PeriodicTask | None) -> None:
    """Removes a deleted task's PeriodicTask, in the caller's transaction."""
    if mirrored is None:
        return
    clocked_id = mirrored.clocked_id
    PeriodicTask.objects.filter(pk=mirrored.pk)._raw_delete("default")
    if clocked_id is not None:
        ClockedSchedule.objects.filter(pk=clocked_id)._raw_delete("default")
    transaction.on_commit(_set_change_flag, robust=True)


def _set_change_flag() -> None:
    try:
        PeriodicTasks.update_changed()
    except DatabaseError:
        # A stock scheduler reads everything anew every five minutes anyway.
        return


def _wanted(
    task: ScheduledTask, mirrored: PeriodicTask | None, moved: list[ClockedSchedule]
) -> dict[str, Any]:
    planned = task.next_run_time is not None
    return {
        "name": f"{task.name[:150]} ({task.pk})",
        "task": OPEN_DUE,
        "args": json.dumps([[[str(task.pk), None]]]),
        "queue": "dispatch",
        "enabled": planned,
        "crontab": None,
        "interval": None,
        "clocked": None,
        "one_off": False,
        "last_run_at": mirrored.last_run_at if mirrored else None,
        **_schedule(task, mirrored, moved),
    }


def _schedule(
    task: ScheduledTask, mirrored: PeriodicTask | None, moved: list[ClockedSchedule]
) -> dict[str, Any]:
    """The schedule fields: a crontab or an interval where that says the rule exactly, else the
    next occurrence as a one-off."""
    rule = _rule_of(task)
    plain = task.max_runs is None and not task.jitter_seconds and not task.dependencies.exists()
    if plain and rule is not None and (cron := rule.crontab()) is not None:
        own = mirrored.crontab if mirrored else None
        named = {"timezone": task.time_zone, **_named(cron)}
        return {"crontab": _shared(CrontabSchedule, own, named)}
    is_bounded = task.start_at or task.end_at or task.excluded_dates
    is_interval = task.recurrence_type == "interval" and rule is not None
    if plain and not is_bounded and is_interval and task.next_scheduled_for:
        return _interval(task, mirrored)
    return {"clocked": _clocked(task, mirrored, moved), "one_off": True}


def _rule_of(task: ScheduledTask) -> Rule | None:
    """None where it is not one any more, as after its zone has left the time zone database: such a
    task can still be paused, mended and deleted."""
    try:
        return task.rule
    except RuleError:
        return None


def _named(cron: Sequence[str]) -> dict[str, str]:
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    return dict(zip(names, cron, strict=True))


def _shared(model: type[S], own: S | None, fields: dict[str, Any]) -> S:
    """A schedule that other tasks may use as well, the task's `own` where it is right. Equal ones
    may exist twice: nothing forbids it, and any of them will do."""
    if own is not None and all(str(getattr(own, name)) == str(fields[name]) for name in fields):
        return own
    found = model._default_manager.filter(**fields).order_by("pk").first()
    return found or model._default_manager.bulk_create([model(**fields)])[0]


def _interval(task: ScheduledTask, mirrored: PeriodicTask | None) -> dict[str, Any]:
    seconds = task.rule.interval_seconds() or 0
    days, rest = divmod(seconds, 86_400)
    every, period = (seconds, "seconds") if rest else (days, "days")
    own = mirrored.interval if mirrored else None
    # Stock counts an interval from the last run: anchored at the nominal time, it does not drift.
    assert task.next_scheduled_for is not None
    return {
        "interval": _shared(IntervalSchedule, own, {"every": every, "period": period}),
        "last_run_at": task.next_scheduled_for - timedelta(seconds=seconds),
    }


def _clocked(
    task: ScheduledTask, mirrored: PeriodicTask | None, moved: list[ClockedSchedule]
) -> ClockedSchedule:
    """The task's own clocked row, set to the next occurrence (its last one where none is left)."""
    own = mirrored.clocked if mirrored else None
    moment = task.next_run_time or (own.clocked_time if own else task.created_at)
    if own is None:
        (own,) = ClockedSchedule.objects.bulk_create([ClockedSchedule(clocked_time=moment)])
    elif own.clocked_time != moment:
        own.clocked_time = moment
        moved.append(own)
    return own
