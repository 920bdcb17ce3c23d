"""Executions before they are stored: what they are made of. Asks the database nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from accounts.uuid7 import uuid7
from devices.agent.protocol import MAX_PAYLOAD_BYTES
from devices.models import Device
from scheduling import lost_kinds, payloads, progress, waves
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.newruns import NewRun
from scheduling.options import TRANSACTIONAL, Rollout

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SNAPSHOT = (
    "task_type",
    "task_payload",
    "rollout",
    "retry",
    "offline_policy",
    "overlap_policy",
    "expires_after_seconds",
    "timeout_seconds",
    "device_ids",
    "group_ids",
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an execution opens."""

    trigger: str
    opened_by: str
    user: User
    scheduled_for: datetime | None = None
    due_at: datetime | None = None
    caused_by: Execution | None = None


def of_schedule(task: ScheduledTask, opened_by: str, scheduled_for: datetime) -> Cause:
    """An occurrence of the plan, due when the task says."""
    return Cause(
        Execution.Trigger.SCHEDULE, opened_by, task.user, scheduled_for, task.next_run_time
    )


def new(task: ScheduledTask | None, cause: Cause, now: datetime) -> Execution:
    return Execution(
        task=task,
        task_name=task.name if task else "",
        task_type=task.task_type if task else "",
        user=cause.user,
        owner=task.user if task else cause.user,
        trigger=cause.trigger,
        opened_by=cause.opened_by,
        caused_by=cause.caused_by,
        scheduled_for=cause.scheduled_for,
        due_at=cause.due_at,
        created_at=now,
    )


def why_not(user: User, devices: Iterable[Device], may_use_any: Callable[[], bool]) -> str:
    """Why an execution for this person on these devices opens no run, or nothing."""
    if not user.is_active:
        return _("The account %s is deactivated.") % user.get_username()
    if not devices:
        return _("No device is targeted: the groups are empty or the devices are gone.")
    if not user.is_superuser and not may_use_any():
        return _("The account %s may use none of the targeted devices.") % user.get_username()
    return ""


def begin(task: ScheduledTask, execution: Execution, order: Any, now: datetime) -> None:
    """Makes it one that runs, with the task's definition as it is now; `order` is what its payload
    stands for, which the devices are told."""
    execution.definition = {name: getattr(task, name) for name in SNAPSHOT}
    give_order(execution, order)
    execution.rollback_payload = _rollback_payload(task, order)
    execution.status = Execution.Status.RUNNING
    execution.started_at = now


def _rollback_payload(task: ScheduledTask, order: Any) -> bytes | None:
    """What undoes it on a device, where its rollout may have to."""
    if Rollout.parse(task.rollout).strategy != TRANSACTIONAL:
        return None
    kind = lost_kinds.find(task.task_type)
    undo = kind.rollback(order) if kind else None
    return None if undo is None else payloads.to_bytes(undo)


def give_order(execution: Execution, order: Any) -> None:
    """What its devices are told, in the bytes that are signed for."""
    execution.payload = payloads.to_bytes(order)
    execution.payload_sha256 = hashlib.sha256(execution.payload).hexdigest()


def is_too_large(execution: Execution) -> bool:
    largest = max(len(execution.payload or b""), len(execution.rollback_payload or b""))
    return largest > MAX_PAYLOAD_BYTES


def end(execution: Execution, status: str, reason: str, now: datetime) -> None:
    """Makes it one that opens no run; the reason is what people read."""
    execution.status, execution.completed_at = status, now
    execution.error_message = reason
    execution.result = progress.result_of(dict.fromkeys(DeviceRun.Status.values, 0))


def runs(execution: Execution, devices: Iterable[Device]) -> Iterator[NewRun]:
    """One pending run a device, in the wave the rollout gives it."""
    definition = execution.definition
    timeout = definition["timeout_seconds"]
    is_exclusive = definition["overlap_policy"] != ScheduledTask.OverlapPolicy.ALLOW
    for device, wave in waves.assign(Rollout.parse(definition["rollout"]), list(devices)):
        yield NewRun(
            uuid7(), execution.pk, execution.task_id, device.pk, device.name, wave, timeout,
            is_exclusive,
        )  # fmt: skip


def count(task: ScheduledTask, execution: Execution) -> None:
    task.execution_count += 1
    task.last_run_time = execution.started_at
    task.last_execution_status = execution.status
