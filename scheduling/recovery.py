"""Recovery mode, after a restore: the devices know of runs that the restored database does not.

Each device is marked until it has answered at its hello (`ledger.recalling`); until then none of its
runs is granted or ended. A mark that is taken away without an answer costs what was unfinished: it
may have run, so it is lost.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.errors import InvalidInput, StateConflict
from devices import keys
from devices.models import Device, Installation
from scheduling import cancelling, catching_up, clock, drafts, hints, live, opening, planning
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.recurrence import RuleError

if TYPE_CHECKING:
    from uuid import UUID

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """`began_at` and `backup_taken_at` are the latest restore's, `marked` the devices that have not
    answered yet. Recovery mode is on while there is one."""

    began_at: datetime | None
    backup_taken_at: datetime | None
    marked: int

    @property
    def is_on(self) -> bool:
        return self.marked > 0

    def sentence(self) -> str:
        """What people are told while it is on; empty where it is off."""
        if not self.is_on:
            return ""
        said = ngettext(
            "Recovery mode%(since)s: %(number)s device has not yet told what it knows of its runs.",
            "Recovery mode%(since)s: %(number)s devices have not yet told what they know of their"
            " runs.",
            self.marked,
        )
        return said % {"since": self._since(), "number": self.marked}

    def _since(self) -> str:
        if self.began_at is None:
            return ""
        began = f"{self.began_at:%Y-%m-%d %H:%M} UTC"
        if self.backup_taken_at is None:
            return _(" since %s") % began
        taken = f"{self.backup_taken_at:%Y-%m-%d %H:%M} UTC"
        return _(" since %(began)s, with data of %(taken)s") % {"began": began, "taken": taken}


@dataclass(frozen=True, slots=True)
class Begun:
    """How many devices were marked, tasks had occurrences written off, and queued executions ended."""

    devices: int
    tasks: int
    queued: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How many marks fell without an answer, and how many runs were lost with them."""

    devices: int
    lost: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """What the restored database cannot know: whatever happened from `taken_at` to `began_at`."""

    taken_at: datetime | None
    began_at: datetime | None

    def covers(self, created_at: datetime) -> bool:
        """Whether a row of this age is from before the restore."""
        return self.began_at is None or created_at < self.began_at

    def latest_known(self, created_at: datetime) -> datetime:
        """The latest instant at which a row of this age is known to be as the backup has it."""
        return created_at if self.taken_at is None else max(created_at, self.taken_at)


def status() -> Status:
    horizon_ = horizon()
    marked = Device.objects.filter(in_recovery=True).count()
    return Status(horizon_.began_at, horizon_.taken_at, marked)


def horizon() -> Horizon:
    row = Installation.objects.filter(only=True).first()
    return Horizon(row.backup_taken_at, row.recovery_began_at) if row else Horizon(None, None)


@transaction.atomic
def begin(backup_taken_at: datetime | None = None) -> Begun:
    """Marks every device, ends their sessions, and writes off what has come due since the backup.

    To be called before anything else touches a restored database; once more is the same again.
    Raises InvalidInput for a backup of the future.
    """
    now = clock.now()
    if backup_taken_at is not None and backup_taken_at > now:
        raise InvalidInput({"backup_taken_at": [_("must not lie in the future.")]})
    keys.server_id()
    Installation.objects.filter(only=True).update(
        recovery_began_at=now, backup_taken_at=backup_taken_at
    )
    # A connection that outlived the restore says hello again.
    devices = Device.objects.present().order_by("pk")
    marked = list(devices.select_for_update(no_key=True).values_list("pk", flat=True))
    Device.objects.filter(pk__in=marked).update(in_recovery=True, session=None)
    begun = Begun(len(marked), _write_off_due(now), _skip_queued())
    hints.wake_hubs()
    live.changed("device", marked)
    log.warning("recovery_began", devices=begun.devices, tasks=begun.tasks, queued=begun.queued)
    return begun


@transaction.atomic
def end(device: Device | None = None) -> Ended:
    """Takes the mark from this device, or from all, without their answer.

    Raises StateConflict where this device has none.
    """
    marked = Device.objects.filter(in_recovery=True)
    if device is not None:
        marked = marked.filter(pk=device.pk)
    locked = marked.order_by("pk").select_for_update(no_key=True)
    device_ids = list(locked.values_list("pk", flat=True))
    if device is not None and not device_ids:
        raise StateConflict(_("The device is not in recovery."), device.status)
    return Ended(len(device_ids), give_up(device_ids))


def give_up(device_ids: Collection[UUID]) -> int:
    """Lets marks fall that nobody answered: what was unfinished before the restore may have run,
    and is lost; how many runs that were."""
    known = horizon()
    runs = DeviceRun.objects.in_recovery().unended().filter(device__in=device_ids)
    if known.began_at is not None:
        runs = runs.filter(created_at__lt=known.began_at)
    affected = set(runs.values_list("execution", flat=True).distinct())
    lost = runs.move(
        DeviceRun.Status.LOST,
        finished_at=clock.now(),
        was_lost=True,
        error_message=_("Recovery ended without an answer from the device: it may have run."),
    )
    let_mark_fall(device_ids)
    hints.advance(affected)
    live.changed("execution", affected)
    log.warning("recovery_given_up", devices=len(device_ids), lost=lost)
    return lost


def give_up_if_marked(device_id: UUID) -> None:
    """For a device that will not answer any more: it is revoked, in the caller's transaction."""
    if Device.objects.filter(pk=device_id, in_recovery=True).exists():
        give_up([device_id])


def let_mark_fall(device_ids: Collection[UUID]) -> None:
    """These devices are as any other again, and what people asked for meanwhile is done."""
    Device.objects.filter(pk__in=device_ids, in_recovery=True).update(in_recovery=False)
    cancelling.cancel_as_asked(device_ids)
    if began_at := horizon().began_at:
        cancelling.supersede_on(device_ids, began_at)
    live.changed("device", device_ids)


def _write_off_due(now: datetime) -> int:
    """One missed row for each task with occurrences since the backup, whatever its misfire policy:
    they may have run."""
    due = ScheduledTask.objects.filter(next_run_time__lte=now).order_by("pk")
    written_off = 0
    for task in due.select_for_update(of=("self",)):
        missed = _all_due(task, now)
        cause = drafts.of_schedule(task, Execution.OpenedBy.PERSON, missed.latest)
        if not Execution.objects.filter(task=task, scheduled_for=missed.latest).exists():
            execution = drafts.new(task, cause, now)
            drafts.end(execution, Execution.Status.MISSED, _may_have_run(missed), now)
            execution.save(force_insert=True)
            live.changed("execution", [execution.pk])
            written_off += 1
        planning.set_plan(task, missed.resume_at)
        opening.save(task)
    return written_off


def _all_due(task: ScheduledTask, now: datetime) -> catching_up.Missed:
    """Where the rule is not one any more, the planned occurrence alone: no other is known."""
    try:
        return catching_up.all_due(task, now)
    except RuleError as error:
        log.error("task_has_no_valid_rule", task=str(task.pk), errors=error.errors)
        first = task.next_scheduled_for
        assert first is not None
        return catching_up.Missed(1, first, first, None)


def _may_have_run(missed: catching_up.Missed) -> str:
    text = ngettext(
        "%(number)s run, due at %(first)s, between the backup and its restore: it may have run.",
        "%(number)s runs, due from %(first)s to %(latest)s, between the backup and its restore: "
        "they may have run.",
        missed.number,
    )
    return text % missed.words()


def _skip_queued() -> int:
    """What waited behind another execution may have had its turn since the backup."""
    waiting = Execution.objects.filter(status=Execution.Status.PENDING)
    tasks = ScheduledTask.objects.filter(pk__in=waiting.values("task")).order_by("pk")
    reason = _("It was waiting when the backup was taken: it may have run before the restore.")
    skipped = 0
    for task in tasks.select_for_update(of=("self",)):
        skipped += 1
        cancelling.skip_queued(task, reason)
        opening.save(task)
    return skipped
