"""Verbs on tasks. Each is one transaction; rules of input are `definitions`', of time `recurrence`'s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.db.models import Count, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import fields
from accounts.errors import NotAllowed, StateConflict
from devices.models import Device, DeviceGroup
from scheduling import (
    cancelling,
    changes,
    clock,
    definitions,
    detaching,
    live,
    opening,
    planning,
    recurrence,
)
from scheduling.beat import mirror
from scheduling.models import Execution, ScheduledTask, TaskDependency

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
UPCOMING_DAYS = 7
UPCOMING_TASKS = 5
HANDED_OVER_AT_ONCE = 5_000
# Why a verb refuses, in the words of every door.
PAUSED_ALREADY = _("The task is paused already.")
NOTHING_TO_PAUSE = _("Nothing is left to come, so there is nothing to pause.")
NOT_PAUSED = _("The task is not paused.")
NO_RIGHTS = _("You may not use every target of this task.")


@dataclass(frozen=True, slots=True)
class Preview:
    """`is_counted` where the runs are those of one task alone, since they count from its start."""

    text: str
    runs: list[recurrence.Occurrence]
    warnings: list[str]
    is_counted: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """What a task brings along that was made elsewhere: whose it is, its id where that is free,
    and when it was made, from which every N days are counted."""

    owner: User
    task_id: UUID | None = None
    created_at: datetime | None = None


@transaction.atomic
def create(user: User, data: Mapping[str, Any], *, origin: Origin | None = None) -> ScheduledTask:
    """A new task of this person's, or its origin's owner's, planned. Raises InvalidInput."""
    task = _insert(user, data, ad_hoc=False, origin=origin)
    changes.created(task, user)
    log.info("task_created", task=str(task.pk), user=user.pk)
    return task


@transaction.atomic
def update(
    task: ScheduledTask, user: User, data: Mapping[str, Any], *, partial: bool
) -> ScheduledTask:
    """Rewrites the definition; a changed rule, zone or bound re-plans from now, an execution under
    way keeps its snapshot. Raises InvalidInput, NotAllowed."""
    task = _locked(task)
    now = clock.now()
    definition = definitions.check(data, user=user, now=now, task=task, partial=partial)
    before, owner_id = changes.snapshot(task), task.user_id
    replans = any(
        getattr(task, name) != definition.values.get(name, getattr(task, name))
        for name in definitions.PLAN_FIELDS
    )
    for name, value in definition.values.items():
        setattr(task, name, value)
    _write_dependencies(task, definition.depends_on, now)
    if replans and not task.is_paused:
        planning.plan_after(task, now)
    opening.save(task)
    changes.edited(task, user, before)
    if task.user_id != owner_id:
        _hand_over_history(task)
        live.changed("task", [task.pk], known_to=[owner_id])
    return task


@transaction.atomic
def pause(task: ScheduledTask, user: User) -> ScheduledTask:
    """Drops the plan, and a queued execution with it. Raises StateConflict where there is none."""
    task = _locked(task)
    if task.is_paused:
        raise StateConflict(str(PAUSED_ALREADY), task.status)
    if not planning.has_something_left(task):
        raise StateConflict(str(NOTHING_TO_PAUSE), task.status)
    task.is_paused = True
    planning.clear(task)
    cancelling.skip_queued(task, gettext("The task was paused."))
    opening.save(task)
    changes.paused(task, user)
    log.info("task_paused", task=str(task.pk), user=user.pk)
    return task


@transaction.atomic
def resume(task: ScheduledTask, user: User) -> ScheduledTask:
    """Makes a new plan from now: what was missed while paused does not fire. Raises StateConflict,
    NotAllowed."""
    task = _locked(task)
    if not task.is_paused:
        raise StateConflict(str(NOT_PAUSED), task.status)
    require_rights(task, user)
    now = clock.now()
    task.is_paused = False
    task.dependencies.update(active_since=now)
    planning.plan_after(task, now)
    opening.save(task)
    changes.resumed(task, user)
    log.info("task_resumed", task=str(task.pk), user=user.pk)
    return task


@transaction.atomic
def delete(task: ScheduledTask, user: User) -> None:
    """Deletes the task; what is under way is cancelled, its executions stay readable. Tasks that ran
    after it stay, and no longer do."""
    task, dependents = _locked_with_dependents(task)
    before = {one.pk: changes.snapshot(one) for one in dependents}
    for execution in task.executions.unended().select_for_update():
        cancelling.cancel(execution, user)
    periodic_task = task.periodic_task
    task_id = task.pk
    detaching.from_task(task_id)
    task.delete()
    mirror.remove(periodic_task)
    for one in dependents:
        changes.edited(one, user, before[one.pk])
        opening.save(one)
    live.changed("task", [task_id], known_to=[task.user_id])
    log.info("task_deleted", task=str(task_id), user=user.pk)


@transaction.atomic
def execute(task: ScheduledTask, user: User) -> Execution:
    """Opens an execution now; disturbs neither the schedule nor a pause. Raises NotAllowed."""
    task = _locked(task)
    require_rights(task, user)
    execution = opening.open_manual(task, user)
    opening.save(task)
    return execution


@transaction.atomic
def execute_now(user: User, data: Mapping[str, Any]) -> Execution:
    """Runs a definition without recurrence at once, carried by an ad hoc task. Raises InvalidInput."""
    recurrence_names = (*definitions.PLAN_FIELDS, "depends_on")
    given = {name: value for name, value in data.items() if name not in recurrence_names}
    given |= {"recurrence_type": "once", "recurrence_config": {"run_at": None}}
    task = _insert(user, given, ad_hoc=True)
    execution = opening.open_manual(task, user)
    opening.save(task)
    return execution


def preview(
    data: Mapping[str, Any], *, now: datetime, task: ScheduledTask | None = None
) -> Preview:
    """The rule in words and its next runs, as a new task or this one would have them. Takes the
    recurrence fields of a task, `after` (default now, exclusive) and `count` (1 to 100, default 10).
    Raises InvalidInput."""
    given = dict(data)
    errors: definitions.Errors = {}
    count, after = given.pop("count", 10), given.pop("after", None)
    try:
        count = fields.whole_number(1, 100)(count)
    except ValueError as error:
        errors["count"] = [str(error)]
    try:
        after = fields.instant(after) or now
    except ValueError as error:
        errors["after"] = [str(error)]
    rule = definitions.parse_rule(given, now=now, errors=errors, task=task)
    runs = rule.next_runs(after, count)
    return Preview(rule.sentence(), runs, rule.warnings(now), rule.is_counted)


def stats(user: User, *, ad_hoc: bool = False) -> dict[str, Any]:
    """Counts by status, and the tasks that run soonest within a week."""
    tasks = ScheduledTask.objects.visible_to(user)
    if not ad_hoc:
        tasks = tasks.listed()
    statuses = ScheduledTask.Status.values
    counts = tasks.aggregate(
        total=Count("pk"), **{name: Count("pk", filter=Q(status=name)) for name in statuses}
    )
    soon = tasks.filter(next_run_time__lte=clock.now() + timedelta(days=UPCOMING_DAYS))
    upcoming = soon.order_by("next_run_time", "id").values(
        "id", "name", "task_type", "next_run_time"
    )
    return {**counts, "upcoming": list(upcoming[:UPCOMING_TASKS])}


def require_rights(task: ScheduledTask, user: User) -> None:
    """Raises NotAllowed unless this person may use every target that is still there."""
    if user.is_superuser and user.is_active:
        return
    targets: tuple[tuple[Any, list[str]], ...] = (
        (DeviceGroup.objects, task.group_ids),
        (Device.objects.present(), task.device_ids),
    )
    for queryset, wanted in targets:
        present = queryset.filter(pk__in=wanted)
        if present.exclude(pk__in=queryset.visible_to(user).values("pk")).exists():
            raise NotAllowed(str(NO_RIGHTS))


def forget_device(device_id: UUID) -> None:
    """Takes a deleted device out of every target list and off its history, in the caller's
    transaction."""
    detaching.from_device(device_id)
    _forget("device_ids", str(device_id))


def forget_group(group_id: UUID) -> None:
    """Takes a deleted group out of every target list, in the caller's transaction."""
    _forget("group_ids", str(group_id))


def _forget(column: str, one: str) -> None:
    tasks = ScheduledTask.objects.filter(**{f"{column}__contains": [one]}).select_for_update()
    for task in tasks:
        setattr(task, column, [other for other in getattr(task, column) if other != one])
        task.save(update_fields=[column, "updated_at"])
        changes.lost_target(task, column, one)
    live.changed("task", [task.pk for task in tasks])


def _insert(
    user: User, data: Mapping[str, Any], *, ad_hoc: bool, origin: Origin | None = None
) -> ScheduledTask:
    now = clock.now()
    made_at = (origin.created_at or now) if origin else None
    definition = definitions.check(data, user=user, now=now, made_at=made_at)
    origin = origin or Origin(user)
    task = ScheduledTask(user=origin.owner, ad_hoc=ad_hoc, **definition.values)
    task.pk = origin.task_id or task.pk
    task.created_at = made_at or now
    planning.plan_after(task, now)
    task.status = planning.status_of(
        task, is_running=False, latest=None, has_open=bool(definition.depends_on)
    )
    task.save(force_insert=True)
    if definition.depends_on:
        _write_dependencies(task, definition.depends_on, now)
    live.changed("task", [task.pk])
    mirror.write(task)
    return task


def _hand_over_history(task: ScheduledTask) -> None:
    """What came of a task is seen by whoever owns it. In parts: one statement over a long history would
    take longer than any may."""
    others = task.executions.exclude(owner=task.user_id).order_by("pk")
    part = list(others.values_list("pk", flat=True)[:HANDED_OVER_AT_ONCE])
    while part:
        task.executions.filter(pk__in=part).update(owner=task.user_id)
        rest = others.filter(pk__gt=part[-1])
        part = list(rest.values_list("pk", flat=True)[:HANDED_OVER_AT_ONCE])


def _locked(task: ScheduledTask) -> ScheduledTask:
    # Not against foreign keys: a task that comes to depend on this one waits for nobody.
    return ScheduledTask.objects.select_for_update(no_key=True).get(pk=task.pk)


def _locked_with_dependents(task: ScheduledTask) -> tuple[ScheduledTask, list[ScheduledTask]]:
    """The task, and those that run after it. Raises DoesNotExist."""
    wanted = [task.pk, *task.dependents.values_list("task", flat=True)]
    # By their ids, as everybody who locks several.
    rows = ScheduledTask.objects.select_for_update(no_key=True).filter(pk__in=wanted)
    locked = rows.order_by("pk").in_bulk()
    if task.pk not in locked:
        raise ScheduledTask.DoesNotExist
    return locked.pop(task.pk), list(locked.values())


def _write_dependencies(
    task: ScheduledTask, wanted: Iterable[Mapping[str, str]], now: datetime
) -> None:
    """Leaves what is as wanted alone: a parent that ended a moment ago still counts for it."""
    pairs = {(one["task_id"], one["on"]) for one in wanted}
    before = {(str(one.parent_id), one.on): one.pk for one in task.dependencies.all()}
    gone = [pk for pair, pk in before.items() if pair not in pairs]
    task.dependencies.filter(pk__in=gone).delete()
    TaskDependency.objects.bulk_create(
        TaskDependency(task=task, parent_id=parent, on=on, active_since=now)
        for parent, on in pairs - before.keys()
    )
