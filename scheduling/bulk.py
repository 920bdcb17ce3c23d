"""One verb on many tasks: which they are, what it would do, and what came of it.

Each task is a transaction of its own, as if somebody had pressed its button: one that is refused
keeps no other from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count
from django.utils.translation import gettext as _

from accounts import vanishing
from accounts.errors import InvalidInput, NotAllowed, StateConflict
from accounts.pages import identifier
from devices.models import Device, DeviceGroup
from scheduling import clock, dependencies, planning, schedules, targets, task_filters
from scheduling.models import DeviceRun, ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import QueryDict

    from scheduling.models.scheduled_task import ScheduledTaskQuerySet

MOST_TASKS = 1_000
# A page that takes longer is given up by whoever waits for it, or by a proxy in between.
MOST_SECONDS = 15.0
Change = Callable[[ScheduledTask], object]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A task that is left as it is, and why."""

    task: ScheduledTask
    why: str


@dataclass(frozen=True, slots=True)
class Extent:
    """What many tasks touch: the devices they target now, each counted once, the devices on which
    something of theirs is under way, and the other tasks that start after one of them."""

    tasks: int
    reach: targets.Reach
    running: int
    dependents: int


@dataclass(slots=True)
class Outcome:
    """`left` are those there was no time for."""

    done: list[ScheduledTask] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    left: list[ScheduledTask] = field(default_factory=list)


def selected(user: User, query: QueryDict) -> list[ScheduledTask]:
    """The tasks that a form names by `task` (repeated) or `tasks` (ids with blanks between), or all
    that match its filters where `all` is set; those that are gone or not theirs are left out.

    Raises InvalidInput where they are none, or too many.
    """
    visible = ScheduledTask.objects.visible_to(user)
    if query.get("all"):
        found = task_filters.narrowed(visible, query, now=clock.now())
    else:
        found = visible.filter(pk__in=_named(query))
    tasks = list(_for_people(found)[: MOST_TASKS + 1])
    if len(tasks) > MOST_TASKS:
        said = _("%(count)s tasks were chosen; at most %(most)s can be changed at once. Narrow it.")
        raise InvalidInput({"task": [said % {"count": found.count(), "most": MOST_TASKS}]})
    if not tasks:
        raise InvalidInput({"task": [_("No task is chosen. Tick some first.")]})
    return tasks


def extent(tasks: Sequence[ScheduledTask]) -> Extent:
    devices = {one for task in tasks for one in task.device_ids}
    groups = {one for task in tasks for one in task.group_ids}
    running = DeviceRun.objects.filter(execution__task__in=[task.pk for task in tasks]).unended()
    number = running.aggregate(devices=Count("device", distinct=True))["devices"]
    dependents = dependencies.lost_with(tasks).values("task").distinct()
    return Extent(len(tasks), targets.reach(devices, groups), number, dependents.count())


def carry_out(tasks: Sequence[ScheduledTask], change: Change) -> Outcome:
    """Changes one at least, and goes on for MOST_SECONDS."""
    outcome = Outcome()
    until = time.monotonic() + MOST_SECONDS
    for number, task in enumerate(tasks):
        if number and time.monotonic() > until:
            outcome.left = list(tasks[number:])
            break
        _change(task, change, outcome)
    return outcome


def cannot_pause(tasks: Sequence[ScheduledTask], user: User) -> list[Refusal]:
    """As `schedules.pause` will judge them, in one query."""
    chosen = ScheduledTask.objects.filter(pk__in=[task.pk for task in tasks])
    empty = set(chosen.filter(planning.nothing_left()).values_list("pk", flat=True))
    paused = [Refusal(one, str(schedules.PAUSED_ALREADY)) for one in tasks if one.is_paused]
    return paused + [
        Refusal(one, str(schedules.NOTHING_TO_PAUSE))
        for one in tasks
        if not one.is_paused and one.pk in empty
    ]


def cannot_resume(tasks: Sequence[ScheduledTask], user: User) -> list[Refusal]:
    running = [Refusal(one, str(schedules.NOT_PAUSED)) for one in tasks if not one.is_paused]
    return running + cannot_execute([one for one in tasks if one.is_paused], user)


def cannot_execute(tasks: Sequence[ScheduledTask], user: User) -> list[Refusal]:
    """Those that target what this person may not use, in four queries."""
    if user.is_superuser:
        return []
    barred = _barred(Device.objects.present(), user, [one.device_ids for one in tasks])
    barred |= _barred(DeviceGroup.objects.all(), user, [one.group_ids for one in tasks])
    return [
        Refusal(one, str(schedules.NO_RIGHTS))
        for one in tasks
        if barred.intersection([*one.device_ids, *one.group_ids])
    ]


def can_all(tasks: Sequence[ScheduledTask], user: User) -> list[Refusal]:
    return []


def _change(task: ScheduledTask, change: Change, outcome: Outcome) -> None:
    try:
        change(task)
    except (StateConflict, NotAllowed) as refusal:
        outcome.refused.append(Refusal(task, refusal.detail))
    except InvalidInput as refusal:
        outcome.refused.append(Refusal(task, str(refusal)))
    except vanishing.ERRORS as error:
        outcome.refused.append(Refusal(task, vanishing.told(error)))
    else:
        outcome.done.append(task)


def _barred(there: Any, user: User, wanted: Iterable[Sequence[str]]) -> set[str]:
    """Of these ids, those that are there and not for this person."""
    rows = there.filter(pk__in={one for ids in wanted for one in ids})
    usable = set(rows.visible_to(user).values_list("pk", flat=True))
    return {str(pk) for pk in rows.values_list("pk", flat=True) if pk not in usable}


def _named(query: QueryDict) -> list[UUID]:
    given = [*query.getlist("task"), *query.get("tasks", "").split()]
    return [one for text in given if (one := identifier(text)) is not None]


def _for_people(tasks: ScheduledTaskQuerySet) -> ScheduledTaskQuerySet:
    return tasks.defer("task_payload", "description").order_by("name", "pk")
