"""Many due occurrences at once: those of a burst that are plain, in one transaction and few queries.

Plain is what opens the same in any company: within its grace, and with nothing of its task under way
or waiting. Whatever is not is left to `opening`, one by one; both come to the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import F

from devices import fleet, membership
from devices.agent import kinds
from devices.models import Device, DeviceGroup
from scheduling import (
    catching_up,
    clock,
    drafts,
    hints,
    live,
    newruns,
    newzones,
    planning,
    progress,
    turns,
)
from scheduling.beat import mirror
from scheduling.models import Execution, ScheduledTask
from scheduling.newruns import NewRun
from scheduling.recurrence import RuleError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
# No message keeps a worker from what is due for long.
ADVANCED_TOGETHER = 5
RELATED = tuple(f"periodic_task__{name}" for name in ("crontab", "interval", "clocked"))

_WRITE_TASKS = """
UPDATE scheduled_tasks AS task
   SET status = row.status, next_scheduled_for = row.next_scheduled_for,
       next_run_time = row.next_run_time, announced_for = NULL, announced_at = NULL,
       last_run_time = row.last_run_time, last_execution_status = row.last_execution_status,
       execution_count = row.execution_count, scheduled_run_count = row.scheduled_run_count,
       updated_at = statement_timestamp()
  FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
              %s::text[], %s::int[], %s::int[])
       AS row (id, status, next_scheduled_for, next_run_time, last_run_time,
               last_execution_status, execution_count, scheduled_run_count)
 WHERE task.id = row.id
"""

Wanted = Mapping[UUID, datetime | None]


@dataclass(slots=True)
class Opened:
    """What a burst came to: the rows it made, and the tasks that are left to `opening`."""

    rows: int = 0
    left: set[UUID] = field(default_factory=set)


@transaction.atomic
def open_plain(wanted: Wanted, opened_by: str) -> Opened:
    """Opens the plain ones of these tasks' occurrences (None: whichever is next).

    Raises IntegrityError where another process opened one in between; then nothing is opened.
    """
    tasks = _locked(wanted)
    now = clock.now()
    busy = _busy([task.pk for task in tasks]) | newzones.stale(tasks)
    plain = {task.pk: task for task in tasks if task.pk not in busy and _is_plain(task, now)}
    opened = Opened(left=_due_elsewhere(wanted, tasks) | {task.pk for task in tasks} - plain.keys())
    births = _births(plain.values(), opened_by, now)
    opened.left |= plain.keys() - {birth.task.pk for birth in births}
    opened.left |= {birth.task.pk for birth in births if birth.is_due_again(now)}
    if births:
        _store(births)
        mirrored = [birth.task for birth in births]
        mirror.write_opened(mirrored, by_beat=opened_by == Execution.OpenedBy.BEAT)
        _tell(births)
    opened.rows = len(births)
    return opened


@dataclass(slots=True)
class _Birth:
    """An execution to be stored, its task as it will be, and the devices it runs on."""

    task: ScheduledTask
    execution: Execution
    devices: Sequence[Device]
    runs: list[NewRun] = field(default_factory=list)

    def is_due_again(self, now: datetime) -> bool:
        return self.task.next_run_time is not None and self.task.next_run_time <= now


def _locked(wanted: Wanted) -> list[ScheduledTask]:
    """The due ones among these that nobody else holds, and whose next occurrence is the wanted."""
    rows = ScheduledTask.objects.due().filter(pk__in=wanted).order_by("next_run_time", "pk")
    rows = rows.select_for_update(of=("self",), skip_locked=True)
    rows = rows.select_related("user", *RELATED).prefetch_related("dependencies")
    return [task for task in rows if wanted[task.pk] in (None, task.next_scheduled_for)]


def _due_elsewhere(wanted: Wanted, locked: Collection[ScheduledTask]) -> set[UUID]:
    """Wanted occurrences that still are to be opened, in rows that others hold."""
    missing = wanted.keys() - {task.pk for task in locked}
    if not missing:
        return set()
    due = ScheduledTask.objects.due().filter(pk__in=missing)
    rows = due.values_list("pk", "next_scheduled_for")
    return {pk for pk, moment in rows if wanted[pk] in (None, moment)}


def _busy(task_ids: Collection[UUID]) -> set[UUID]:
    """Tasks with an execution that has not ended, or one of the planned occurrence already."""
    mine = Execution.objects.filter(task__in=task_ids).order_by()
    opened = mine.filter(scheduled_for=F("task__next_scheduled_for"))
    found = mine.unended().values_list("task", flat=True).union(opened.values_list("task"))
    return set(found)


def _is_plain(task: ScheduledTask, now: datetime) -> bool:
    """Within its grace, and its payload stands for nothing in the catalogue."""
    try:
        references = kinds.get(task.task_type).references(task.task_payload)
    except kinds.UnknownKind:
        return False  # whoever opens it alone says so
    return _is_in_time(task, now) and references == kinds.References()


def _is_in_time(task: ScheduledTask, now: datetime) -> bool:
    due = task.next_run_time
    is_late = due is None or due < catching_up.late_if_due_before(task, now)
    return not is_late and not turns.is_held(task, now)


def _births(tasks: Iterable[ScheduledTask], opened_by: str, now: datetime) -> list[_Birth]:
    listed = list(tasks)
    targets = _Targets.of(listed)
    births = []
    for task in listed:
        try:
            birth = _born(task, targets, opened_by, now)
        except RuleError:
            continue  # whoever opens it alone says what is wrong with its rule
        if not drafts.is_too_large(birth.execution):
            births.append(birth)
    return births


def _born(task: ScheduledTask, targets: _Targets, opened_by: str, now: datetime) -> _Birth:
    """The planned occurrence's execution; moves the plan of `task`, in memory alone."""
    scheduled_for = task.next_scheduled_for
    assert scheduled_for is not None
    execution = drafts.new(task, drafts.of_schedule(task, opened_by, scheduled_for), now)
    devices = targets.of_task(task)
    may_use_any = partial(targets.may_use_any, task.user, devices)
    if reason := drafts.why_not(task.user, devices, may_use_any):
        drafts.end(execution, Execution.Status.SKIPPED, reason, now)
        devices = []
    else:
        drafts.begin(task, execution, task.task_payload, now)
        drafts.count(task, execution)
        task.scheduled_run_count += 1
    planning.plan_after(task, scheduled_for)
    return _Birth(task, execution, devices)


@dataclass(slots=True)
class _Targets:
    """The devices of many tasks, each looked up once."""

    named: dict[str, Device]
    grouped: dict[str, list[Device]]
    _usable: dict[int, set[UUID]] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Sequence[ScheduledTask]) -> _Targets:
        device_ids = {one for task in tasks for one in task.device_ids}
        group_ids = {one for task in tasks for one in task.group_ids}
        membership.refresh_named(group_ids)
        present = Device.objects.present().only("id", "name", "is_online")
        named = {str(one.pk): one for one in present.filter(pk__in=device_ids)}
        members = DeviceGroup.devices.through.objects.filter(devicegroup__in=group_ids)
        pairs = list(members.values_list("devicegroup", "device"))
        devices = present.in_bulk({device for _group, device in pairs})
        grouped: dict[str, list[Device]] = {}
        for group, device in pairs:
            if device in devices:
                grouped.setdefault(str(group), []).append(devices[device])
        return cls(named, grouped)

    def of_task(self, task: ScheduledTask) -> list[Device]:
        """The devices of the task's groups and those named, each once."""
        named = [self.named[one] for one in task.device_ids if one in self.named]
        grouped = [device for one in task.group_ids for device in self.grouped.get(one, [])]
        return list({device.pk: device for device in [*named, *grouped]}.values())

    def may_use_any(self, user: User, devices: Iterable[Device]) -> bool:
        if user.pk not in self._usable:
            known = {device.pk for group in self.grouped.values() for device in group}
            known |= {device.pk for device in self.named.values()}
            usable = Device.objects.visible_to(user).filter(pk__in=known)
            self._usable[user.pk] = set(usable.values_list("pk", flat=True))
        return any(device.pk in self._usable[user.pk] for device in devices)


def _store(births: Sequence[_Birth]) -> None:
    _add_runs(births)
    latest = progress.latest_ended_statuses([birth.task.pk for birth in births])
    for birth in births:
        is_under_way = any(device.is_online for device in birth.devices)
        birth.task.status = planning.status_of(
            birth.task,
            is_running=is_under_way,
            latest=latest.get(birth.task.pk),
            has_open=not birth.execution.has_ended,
        )
    Execution.objects.bulk_create([birth.execution for birth in births])
    newruns.insert([run for birth in births for run in birth.runs])
    _write([birth.task for birth in births])


def _add_runs(births: Iterable[_Birth]) -> None:
    """The runs of executions that begin, on those of their devices that are still there."""
    held = fleet.hold(sorted({device.pk for birth in births for device in birth.devices}))
    for birth in births:
        birth.devices = [device for device in birth.devices if device.pk in held]
        if not birth.execution.has_ended:
            birth.runs = list(drafts.runs(birth.execution, birth.devices))


def _write(tasks: Sequence[ScheduledTask]) -> None:
    rows = [
        (
            task.pk, str(task.status), task.next_scheduled_for, task.next_run_time,
            task.last_run_time, str(task.last_execution_status), task.execution_count,
            task.scheduled_run_count,
        )
        for task in tasks
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_TASKS, [list(column) for column in zip(*rows, strict=True)])


def _tell(births: Sequence[_Birth]) -> None:
    begun = [birth.execution.pk for birth in births if not birth.execution.has_ended]
    for start in range(0, len(begun), ADVANCED_TOGETHER):
        hints.advance(begun[start : start + ADVANCED_TOGETHER])
    live.changed("execution", [birth.execution.pk for birth in births])
    live.changed("task", [birth.task.pk for birth in births])
    log.info("burst_opened", executions=len(births), begun=len(begun))
