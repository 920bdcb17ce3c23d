"""Verbs of people on executions and runs: cancel, retry, and steering a rollout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.db.models import Min
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, NotAllowed, StateConflict
from devices.models import Device
from scheduling import cancelling, clock, opening, progress, steering
from scheduling.models import DeviceRun, Execution, ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
with_results = progress.with_results
cancel_run = cancelling.cancel_run


@transaction.atomic
def cancel(execution: Execution, user: User, *, wave: int | None = None) -> Execution:
    """As `cancelling.cancel`. Raises StateConflict as well where the whole is over."""
    execution = cancelling.locked(execution)
    if wave is None and cancelling.is_over(execution):
        raise StateConflict(_("It has ended on every device."), execution.status)
    return cancelling.cancel(execution, user, wave=wave)


@transaction.atomic
def pause_rollout(execution: Execution, user: User) -> Execution:
    """Releases nothing more until it is resumed. Raises StateConflict."""
    execution = _steerable(execution)
    if execution.rollout_paused_at is not None:
        raise StateConflict(_("The rollout is paused already."), execution.status)
    if not steering.possible(execution).pause:
        raise StateConflict(_("Nothing is waiting to start."), execution.status)
    return _steer(execution, user, "paused", rollout_paused_at=clock.now(), rollout_paused_by=user)


@transaction.atomic
def resume_rollout(execution: Execution, user: User) -> Execution:
    """Raises StateConflict where it is not paused, NotAllowed where a right is gone."""
    execution = _steerable(execution)
    if execution.rollout_paused_at is None:
        raise StateConflict(_("The rollout is not paused."), execution.status)
    _require_devices(execution, user)
    return _steer(execution, user, "resumed", rollout_paused_at=None, rollout_paused_by=None)


@transaction.atomic
def promote(execution: Execution, user: User) -> Execution:
    """Lets the next wave go now. Raises StateConflict where none is waiting, NotAllowed where a right
    is gone."""
    execution = _steerable(execution)
    waiting = execution.runs.filter(status="pending", wave__gt=max(1, execution.open_wave))
    following = waiting.aggregate(wave=Min("wave"))["wave"]
    if following is None:
        raise StateConflict(_("No further wave is waiting."), execution.status)
    _require_devices(execution, user)
    return _steer(execution, user, "promoted", open_wave=following, wave_closed_at=None)


@transaction.atomic
def abort(execution: Execution, user: User) -> Execution:
    """Lets what has started finish and skips the rest; a transactional rollout is then rolled back
    where it succeeded. Raises StateConflict."""
    execution = _steerable(execution)
    if execution.abort_requested_at is not None:
        raise StateConflict(_("The rollout was aborted already."), execution.status)
    if not steering.possible(execution).abort:
        raise StateConflict(_("Nothing is waiting to start."), execution.status)
    reason = _("The rollout was aborted by %s.") % user.get_username()
    cancelling.skip_unstarted(execution, reason)
    return _steer(execution, user, "aborted", abort_requested_at=clock.now(), abort_reason=reason)


@transaction.atomic
def retry(execution: Execution, user: User, statuses: Iterable[str] | None = None) -> Execution:
    """A new execution, same payload and options, on the devices whose last run is in one of these
    states; by default every one that did not succeed, the lost left out.

    Raises InvalidInput, NotAllowed, and StateConflict where there is nothing to retry.
    """
    wanted = _retried_statuses(statuses)
    # The task before its execution, as everybody who wants both.
    if execution.task_id is not None:
        ScheduledTask.objects.select_for_update().filter(pk=execution.task_id).first()
    execution = cancelling.locked(execution)
    if not execution.has_ended:
        raise StateConflict(_("The execution has not ended."), execution.status)
    runs = execution.runs.filter(steering.RETRIABLE, status__in=wanted)
    device_ids = list(runs.values_list("device", flat=True))
    if not device_ids:
        raise StateConflict(_("There is no device to retry."), execution.status)
    usable = Device.objects.visible_to(user).filter(pk__in=device_ids).count()
    if usable < len(device_ids):
        raise NotAllowed(_("You may not use every device of this execution."))
    return opening.open_retry(execution, user, device_ids)


def _retried_statuses(statuses: Iterable[str] | None) -> list[str]:
    if statuses is None:
        return list(steering.RETRIED_BY_DEFAULT)
    if isinstance(statuses, str) or not isinstance(statuses, Iterable):
        raise InvalidInput({"statuses": [_("must be a list of run states.")]})
    accepted = [status for status in DeviceRun.Status.values if status not in DeviceRun.UNENDED]
    wanted = [str(status) for status in statuses]
    unknown = [status for status in wanted if status not in accepted]
    if unknown or not wanted:
        message = _("must be a list of: %s.") % ", ".join(accepted)
        raise InvalidInput({"statuses": [message]})
    return wanted


def _require_devices(execution: Execution, user: User) -> None:
    """Whoever lets something go may use the devices it goes to."""
    waiting = execution.runs.unstarted().filter(device__revoked_at=None, device__isnull=False)
    if waiting.exclude(device__in=Device.objects.visible_to(user)).exists():
        raise NotAllowed(_("You may not use every device of this execution."))


def _steerable(execution: Execution) -> Execution:
    execution = cancelling.locked(execution)
    if execution.status != Execution.Status.RUNNING:
        raise StateConflict(_("The execution is not running."), execution.status)
    return execution


def _steer(execution: Execution, user: User, verb: str, **changes: object) -> Execution:
    Execution.objects.filter(pk=execution.pk).update(**changes)
    log.info("rollout_steered", execution=str(execution.pk), user=user.pk, verb=verb)
    cancelling.changed(execution)
    return Execution.objects.get(pk=execution.pk)
