"""Opens executions: for an occurrence, by hand, after a parent, for a retry, out of the queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.database import is_away
from accounts.errors import StateConflict
from devices import fleet, membership
from devices.agent import kinds
from devices.agent.protocol import MAX_PAYLOAD_BYTES
from devices.models import Device
from scheduling import (
    cancelling,
    catching_up,
    clock,
    drafts,
    hints,
    live,
    lost_kinds,
    newruns,
    newzones,
    payloads,
    planning,
    progress,
    turns,
)
from scheduling.beat import mirror
from scheduling.catalogue import handing, lookup
from scheduling.models import DeviceRun, Execution, ScheduledTask, TaskDependency
from scheduling.recurrence import RuleError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)


@transaction.atomic
def open_due(task_id: UUID, scheduled_for: datetime | None, opened_by: str) -> Execution | None:
    """Opens the task's next occurrence if it is due by the database's clock and is the one named.

    `scheduled_for` None means whichever is next. Answers None where another process was first, the
    task is gone or paused, nothing is due, or what is due waits its turn: all normal. Moves the plan
    in the same transaction.
    """
    # Reconcile has many tasks to look at and comes again: it waits for nobody.
    skips = opened_by == Execution.OpenedBy.RECONCILE
    rows = ScheduledTask.objects.select_for_update(of=("self",), skip_locked=skips)
    task = rows.filter(pk=task_id).first()
    now = clock.now()
    if task is None or not planning.is_due(task, now):
        return None
    if scheduled_for is not None and scheduled_for != task.next_scheduled_for:
        return None  # a message that came twice, or late: that occurrence is opened already
    if newzones.stale([task]):
        newzones.follow(task)
    execution = None
    if not planning.is_due(task, now):
        log.info("occurrence_moved", task=str(task.pk))  # its zone's rules have changed
    elif opened_until := _opened_until(task):
        planning.plan_after(task, opened_until)
    elif (execution := _open_occurrence(task, opened_by, now)) is None:
        return None  # it is announced again, and its end is told by what is under way
    _store(task)
    mirror.write_opened([task], by_beat=opened_by == Execution.OpenedBy.BEAT)
    return execution


def _opened_until(task: ScheduledTask) -> datetime | None:
    """The latest occurrence there is where the planned one has been opened before: a clock that
    was set back, and a plan made then, name it a second time."""
    planned = task.next_scheduled_for
    known = Execution.objects.filter(task=task, scheduled_for__gte=planned)
    if not known.filter(scheduled_for=planned).exists():
        return None
    latest: datetime = known.aggregate(latest=Max("scheduled_for"))["latest"]
    return latest


def open_manual(task: ScheduledTask, user: User) -> Execution:
    """Opens at once, whatever the schedule, a pause or an overlap say. The caller holds the row."""
    cause = drafts.Cause(Execution.Trigger.MANUAL, Execution.OpenedBy.PERSON, user)
    return _open(task, cause, clock.now())


def open_dependents(execution_id: UUID) -> list[Execution]:
    """Opens what waits for the end of this execution, each task once however often it is asked, and
    in a transaction of its own: one that cannot be opened keeps no other from it."""
    parent = Execution.objects.filter(pk=execution_id).first()
    if parent is None or parent.task_id is None or parent.completed_at is None:
        return []
    wanted = TaskDependency.objects.filter(
        parent=parent.task_id, on__in=_kept_by(parent), active_since__lte=parent.completed_at
    )
    opened = [_try_dependent(one.task_id, parent) for one in wanted.order_by("task_id")]
    return [execution for execution in opened if execution is not None]


@transaction.atomic
def open_retry(original: Execution, user: User, device_ids: Sequence[UUID]) -> Execution:
    """A new execution of the same payload and options on these devices, which go on where they can.
    Raises StateConflict."""
    _require_kind(original)
    cause = drafts.Cause(Execution.Trigger.RETRY, "person", user)
    execution = drafts.new(original.task, cause, clock.now())
    return open_derived(execution, original, device_ids, order=_resuming(original))


@transaction.atomic
def open_derived(
    execution: Execution,
    original: Execution,
    device_ids: Sequence[UUID],
    *,
    order: kinds.JsonObject | None = None,
    payload: kinds.JsonObject | None = None,
) -> Execution:
    """Opens what follows from an execution that has ended on these devices: the same, or with another
    `payload` in its definition, or another `order` for the devices. Raises StateConflict."""
    _require_kind(original)
    _copy_definition(execution, original)
    if payload is not None:
        execution.definition = {**execution.definition, "task_payload": payload}
    if order is not None:
        drafts.give_order(execution, order)
    execution.caused_by = original
    execution.status = Execution.Status.RUNNING
    execution.started_at = execution.created_at
    execution.save(force_insert=True)
    if problem := handing.hold(execution):
        raise StateConflict(problem, original.status)
    _create_runs(execution, Device.objects.present().filter(pk__in=device_ids))
    if original.task is not None:
        task = ScheduledTask.objects.select_for_update().get(pk=original.task.pk)
        drafts.count(task, execution)
        save(task)
    return execution


@transaction.atomic
def release_queued(task_id: UUID) -> Execution | None:
    """Starts the task's queued execution, with its targets as they are now, once nothing is in its
    way; None where there is none or something still is. Asks for what waited its turn."""
    task = ScheduledTask.objects.select_for_update().filter(pk=task_id).first()
    if task is None:
        return None
    ahead = progress.under_way(task_id)
    if not ahead and turns.goes_in_turn(task) and planning.is_due(task, clock.now()):
        hints.open_due(task_id)
    if not ahead or any(one.status != Execution.Status.PENDING for one in ahead):
        return None
    execution = ahead[0]
    _start(task, execution, clock.now())
    _count_scheduled(task, execution)
    if planning.is_used_up(task):
        planning.clear(task)
    save(task)
    return execution


def _open_occurrence(task: ScheduledTask, opened_by: str, now: datetime) -> Execution | None:
    """Opens the planned occurrence; past its grace, what the misfire policy makes of it. None where
    it waits its turn."""
    missed = catching_up.missed(task, now)
    if missed is None:
        return None if turns.waits(task, now) else _open_planned(task, opened_by, now)
    execution = drafts.new(task, drafts.of_schedule(task, opened_by, missed.latest), now)
    _end_unopened(execution, Execution.Status.MISSED, missed.sentence())
    planning.set_plan(task, missed.resume_at)
    return execution


def _open_planned(task: ScheduledTask, opened_by: str, now: datetime) -> Execution:
    """Opens the planned occurrence, and plans the next, which may be due already as well."""
    scheduled_for = task.next_scheduled_for
    assert scheduled_for is not None
    execution = _open_heeding_overlap(task, drafts.of_schedule(task, opened_by, scheduled_for), now)
    _count_scheduled(task, execution)
    planning.plan_after(task, scheduled_for)
    return execution


def _count_scheduled(task: ScheduledTask, execution: Execution) -> None:
    """One more of `max_runs`, where it is a scheduled one that runs now: one in the queue may never."""
    is_running = execution.status == Execution.Status.RUNNING
    if is_running and execution.trigger == Execution.Trigger.SCHEDULE:
        task.scheduled_run_count += 1


def _try_dependent(task_id: UUID, parent: Execution) -> Execution | None:
    try:
        return _open_dependent(task_id, parent)
    except (IntegrityError, RuleError) as error:
        log.error("dependent_not_opened", task=str(task_id), cause=str(parent.pk), error=str(error))
        return None
    except Exception as error:
        if is_away(error):
            raise
        log.exception("dependent_not_opened", task=str(task_id), cause=str(parent.pk))
        return None


@transaction.atomic
def _open_dependent(task_id: UUID, parent: Execution) -> Execution | None:
    task = ScheduledTask.objects.select_for_update(of=("self",)).filter(pk=task_id).first()
    done = Execution.objects.filter(task=task_id, caused_by=parent, trigger="dependency")
    if task is None or task.is_paused or done.exists():
        return None
    cause = drafts.Cause(Execution.Trigger.DEPENDENCY, "worker", task.user, caused_by=parent)
    execution = _open_heeding_overlap(task, cause, clock.now())
    save(task)
    return execution


def _kept_by(parent: Execution) -> list[str]:
    on = TaskDependency.On
    if parent.ended_as == Execution.Status.SUCCESS:
        return [on.SUCCESS, on.COMPLETION]
    if parent.ended_as in (Execution.Status.FAILED, Execution.Status.PARTIAL):
        return [on.FAILURE, on.COMPLETION]
    return []


def _open_heeding_overlap(task: ScheduledTask, cause: drafts.Cause, now: datetime) -> Execution:
    ahead = progress.under_way(task.pk)
    policy = task.overlap_policy
    if not ahead or policy == ScheduledTask.OverlapPolicy.ALLOW:
        return _open(task, cause, now)
    if policy == ScheduledTask.OverlapPolicy.CANCEL_RUNNING:
        for one in ahead:
            with suppress(StateConflict):  # it has just ended by itself
                cancelling.cancel(one, cause.user)
        return _open(task, cause, now)
    execution = drafts.new(task, cause, now)
    queue_is_free = all(one.status != Execution.Status.PENDING for one in ahead)
    if policy == ScheduledTask.OverlapPolicy.QUEUE_ONE and queue_is_free:
        execution.status = Execution.Status.PENDING
        execution.save(force_insert=True)
        live.changed("execution", [execution.pk])
        return execution
    reason = _("The execution of %(moment)s (%(id)s) is still under way.")
    moment = (ahead[0].scheduled_for or ahead[0].created_at).isoformat(timespec="minutes")
    _end_unopened(
        execution, Execution.Status.SKIPPED, reason % {"moment": moment, "id": ahead[0].pk}
    )
    return execution


def _open(task: ScheduledTask, cause: drafts.Cause, now: datetime) -> Execution:
    execution = drafts.new(task, cause, now)
    _start(task, execution, now)
    return execution


def _start(task: ScheduledTask, execution: Execution, now: datetime) -> None:
    """Opens the runs of an execution that is new or comes out of the queue."""
    is_new = execution._state.adding
    devices = _targets(task)
    reason = drafts.why_not(execution.user, devices, lambda: _may_use_any(execution.user, devices))
    if reason:
        _end_unopened(execution, Execution.Status.SKIPPED, reason, is_new=is_new)
        return
    order, problem = _order(task)
    drafts.begin(task, execution, order, now)
    execution.save(force_insert=is_new)
    if drafts.is_too_large(execution):
        problem = problem or _("The payload has over %s bytes.") % MAX_PAYLOAD_BYTES
    problem = problem or handing.hold(execution)
    if problem:
        _fail_unopened(execution, problem)
        return
    if task.overlap_policy != ScheduledTask.OverlapPolicy.ALLOW:
        cancelling.supersede_waiting(execution)
    _create_runs(execution, devices)
    drafts.count(task, execution)
    log.info("execution_opened", execution=str(execution.pk), devices=len(devices))


def _order(task: ScheduledTask) -> tuple[kinds.JsonObject, str]:
    """What the devices are to be told, and why they cannot be."""
    try:
        return lookup.order_of(task.task_type, task.task_payload), ""
    except kinds.UnknownKind:
        return task.task_payload, lost_kinds.reason(task.task_type)
    except kinds.Unresolved as problem:
        return task.task_payload, str(problem)


def _require_kind(original: Execution) -> None:
    if lost_kinds.is_lost(original.task_type):
        raise StateConflict(lost_kinds.reason(original.task_type), original.status)


def _resuming(original: Execution) -> kinds.JsonObject | None:
    """The order of a retry; None where it is the original's, or had no room for what goes on."""
    order = payloads.from_bytes(bytes(original.payload or b"{}"))
    resuming = kinds.get(original.task_type).resume(order, str(original.pk))
    is_too_large = len(payloads.to_bytes(resuming)) > MAX_PAYLOAD_BYTES
    return None if resuming == order or is_too_large else resuming


def _targets(task: ScheduledTask) -> list[Device]:
    """The devices of the task's groups and those named, each once, the revoked left out."""
    membership.refresh_named(task.group_ids)
    present = Device.objects.present().only("id", "name", "is_online")
    named = present.filter(pk__in=task.device_ids)
    grouped = present.filter(groups__in=task.group_ids)
    return list({device.pk: device for device in [*named, *grouped]}.values())


def _may_use_any(user: User, devices: Sequence[Device]) -> bool:
    usable = Device.objects.visible_to(user).filter(pk__in=[device.pk for device in devices])
    return usable.exists()


def _end_unopened(execution: Execution, status: str, reason: str, *, is_new: bool = True) -> None:
    """Ends an execution that opens no run; the reason is what people read."""
    drafts.end(execution, status, reason, execution.created_at if is_new else clock.now())
    execution.save(force_insert=is_new)
    live.changed("execution", [execution.pk])
    log.info("execution_not_opened", execution=str(execution.pk), status=str(status))


def _fail_unopened(execution: Execution, reason: str) -> None:
    """Ends an execution that cannot be sent to anybody."""
    Execution.objects.filter(pk=execution.pk).move(
        Execution.Status.FAILED,
        started_at=None,
        completed_at=execution.started_at,
        error_message=reason,
        result=progress.result_of(dict.fromkeys(DeviceRun.Status.values, 0)),
    )
    execution.refresh_from_db()
    live.changed("execution", [execution.pk])
    log.error("execution_not_opened", execution=str(execution.pk), status=execution.status)


def _copy_definition(execution: Execution, original: Execution) -> None:
    for name in (
        "task_name", "task_type", "owner", "definition", "payload", "payload_sha256",
        "rollback_payload", "file_addresses",
    ):  # fmt: skip
        setattr(execution, name, getattr(original, name))


def _create_runs(execution: Execution, devices: Iterable[Device]) -> None:
    """The runs of an execution that begins, on those of these devices that are still there."""
    targeted = list(devices)
    held = fleet.hold([device.pk for device in targeted])
    there = [device for device in targeted if device.pk in held]
    newruns.insert(list(drafts.runs(execution, there)))
    hints.advance([execution.pk])
    live.changed("execution", [execution.pk])


def save(task: ScheduledTask) -> None:
    """Writes the task with the status that follows from its plan and executions, its PeriodicTask in
    step, in the caller's transaction."""
    _store(task)
    mirror.write(task)


def _store(task: ScheduledTask) -> None:
    planning.refresh_status(task)
    task.save()
    live.changed("task", [task.pk])
