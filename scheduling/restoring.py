"""Putting back what a file deployment replaced: an execution of its own, with the trigger `restore`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.errors import NotAllowed, StateConflict
from devices.models import Device
from scheduling import cancelling, clock, drafts, opening, payloads
from scheduling.models import DeviceRun, Execution, ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models.device_run import DeviceRunQuerySet

KIND = "file_deployment"


def restore(execution: Execution, user: User) -> Execution:
    """On every device that keeps something of this execution. Raises StateConflict where none does,
    NotAllowed."""
    return _restore(execution, user, kept_on(execution))


def restore_run(run: DeviceRun, user: User) -> Execution:
    """On the one device of this run. Raises StateConflict, NotAllowed."""
    return restore_on(run.device_id, run.execution, user)


def restore_on(device: UUID | None, execution: Execution, user: User) -> Execution:
    """The same by the device."""
    wanted = [one for one in kept_on(execution) if one == device]
    return _restore(execution, user, wanted)


def kept_on(execution: Execution) -> list[UUID]:
    """The devices that keep what this execution replaced, by what their runs said."""
    if execution.task_type != KIND:
        return []
    keeping = _keeping(execution).values_list("device", flat=True)
    return sorted({pk for pk in keeping if pk is not None})


def keeps(execution: Execution) -> bool:
    """Whether any device does."""
    return execution.task_type == KIND and _keeping(execution).exists()


def _keeping(execution: Execution) -> DeviceRunQuerySet:
    """A revoked device is told nothing any more."""
    there = execution.runs.filter(device__isnull=False, device__revoked_at=None)
    return there.filter(detail__kept__0__isnull=False)


@transaction.atomic
def _restore(original: Execution, user: User, devices: Sequence[UUID]) -> Execution:
    # The task before its execution, as everybody who wants both.
    if original.task_id is not None:
        ScheduledTask.objects.select_for_update().filter(pk=original.task_id).first()
    original = cancelling.locked(original)
    if not original.has_ended:
        raise StateConflict(_("The execution has not ended."), original.status)
    if not devices:
        raise StateConflict(_("No device keeps anything of it."), original.status)
    if Device.objects.visible_to(user).filter(pk__in=devices).count() < len(devices):
        raise NotAllowed(_("You may not use every device of this execution."))
    cause = drafts.Cause(Execution.Trigger.RESTORE, Execution.OpenedBy.PERSON, user)
    execution = drafts.new(original.task, cause, clock.now())
    order = _order(original)
    return opening.open_derived(execution, original, devices, order=order, payload=order)


def _order(original: Execution) -> dict[str, Any]:
    """Whatever the original was to do; one that was itself a restore names its own target."""
    order = payloads.from_bytes(bytes(original.payload or b"{}"))
    target = order.get("restore", order)["target_path"]
    return {"restore": {"execution": str(original.pk), "target_path": target}}
