"""The loop that makes every hint unnecessary: whatever one left behind is done here, every 15 s.

It runs as a thread of its own, with its own connection, in every worker's main process and in every
beat, and calls the verbs directly, never through the broker. Each step is a few short transactions;
a row that another process holds is left to it, so that one that was stopped in the middle holds up
nobody, and the database frees what it held within half a minute.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from devices import agent_updates, keys, membership, presence
from devices.models import Device
from scheduling import (
    clock,
    due,
    hints,
    live,
    merging,
    newzones,
    opening,
    progress,
    release,
    rollout,
    settling,
)
from scheduling.models import (
    DeviceRun,
    Execution,
    ScheduledTask,
    ServiceHeartbeat,
    TaskDependency,
)

log = structlog.get_logger(__name__)
AT_ONCE = 500
MOST_BATCHES = 20
NEVER_RELEASED = timedelta(days=30)
CLAIM_LEASE = timedelta(minutes=10)
GRACE_TO_LOST = timedelta(hours=24)
DEPENDENCY_WINDOW = timedelta(days=1)
LONGEST_ROUND = timedelta(days=1)
"""Of an advance that released while a device was revoked, with the time nobody reconciled."""


def open_due() -> int:
    return due.open_everything(Execution.OpenedBy.RECONCILE)


def sweep_presence() -> int:
    web = ServiceHeartbeat.objects.filter(kind=ServiceHeartbeat.Kind.WEB)
    with transaction.atomic():
        gone = presence.sweep(web.aggregate(newest=Max("started_at"))["newest"])
        waiting = DeviceRun.objects.filter(device__in=gone).unstarted()
        live.changed("device", gone)
        live.changed("execution", waiting.execution_ids())
    return len(gone)


def expire() -> int:
    """Ends what was not started in time, by the database's clock."""
    now = clock.now()
    waited = Q(status__in=["queued", "claimed"], not_after__lt=Now())
    never = Q(status="pending", created_at__lt=now - NEVER_RELEASED)
    runs = DeviceRun.objects.filter(waited | never).out_of_recovery()
    return _end(runs.filter(waited), "expired", _("Not started within its time.")) + _end(
        runs.filter(never), "expired", _("Never released.")
    )


def skip_forbidden() -> int:
    """Ends what may not start any more: its device was revoked while it was being released, or its
    execution's user has lost the device since."""
    revoked = Device.objects.filter(revoked_at__gte=clock.now() - LONGEST_ROUND)
    device_ids = list(revoked.values_list("pk", flat=True))
    unstarted = DeviceRun.objects.filter(device__in=device_ids).unstarted()
    skipped = _end(unstarted, "skipped", _("The device was revoked."))
    under_way = Execution.objects.under_way()
    users = User.objects.filter(pk__in=under_way.values("user"))
    for user in users.exclude(is_superuser=True, is_active=True):
        execution_ids = list(under_way.filter(user=user).values_list("pk", flat=True))
        released = DeviceRun.objects.filter(
            execution__in=execution_ids, status__in=["queued", "claimed"]
        )
        lost = released.exclude(device__in=Device.objects.visible_to(user)).out_of_recovery()
        skipped += _end(lost, "skipped", release.right_gone())
    return skipped


def lose() -> int:
    """Gives up started runs a day after their deadline: nobody knows what became of them."""
    overdue = DeviceRun.objects.filter(status="running", deadline_at__lt=Now() - GRACE_TO_LOST)
    reason = _("The device did not report within a day of its deadline.")
    return _end(overdue.out_of_recovery(), "lost", reason)


def release_claims() -> int:
    """Queues again what was claimed by a session that is gone: no GO was given, so it is safe."""
    stale = DeviceRun.objects.filter(status="claimed", claimed_at__lt=Now() - CLAIM_LEASE).filter(
        Q(device__is_online=False) | ~Q(device__session=F("claim_session"))
    )
    return DeviceRun.objects.filter(pk__in=stale.values("pk")).move(
        "queued", claim_session=None, claimed_at=None
    )


class InTurn:
    """A step over so many rows a round that goes on where the last round ended: neither those that
    wait for a device for days nor one that fails each time keep it from the others."""

    def __init__(
        self, name: str, rows: Callable[[], QuerySet[Any]], take: Callable[[UUID], object]
    ) -> None:
        self.__name__ = name
        self._rows, self._take = rows, take
        self._after: UUID | None = None

    def __call__(self) -> int:
        rows = self._rows().order_by("pk").values_list("pk", flat=True)
        ids = list(rows.filter(pk__gt=self._after)[:AT_ONCE] if self._after else rows[:AT_ONCE])
        for row in ids:
            self._after = row
            try:
                self._take(row)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                log.exception("reconcile_row_failed", step=self.__name__, row=str(row))
        if len(ids) < AT_ONCE:
            self._after = None
        return len(ids)


def _queueing() -> QuerySet[ScheduledTask]:
    queued = Execution.objects.filter(status=Execution.Status.PENDING)
    return ScheduledTask.objects.filter(pk__in=queued.values("task"))


def _running() -> QuerySet[ScheduledTask]:
    """Tasks that say they are, which may have ceased to be true."""
    return ScheduledTask.objects.filter(status=ScheduledTask.Status.RUNNING)


def _wait_no_longer() -> QuerySet[Execution]:
    """Those in which the pause before an attempt, or the time that a wave is watched, has passed."""
    again = DeviceRun.objects.filter(
        status="pending", not_before__lte=Now(), wave__lte=F("execution__open_wave")
    ).exclude(device__in_recovery=True)
    # In this order: what is watched for how long is read of those alone that are watched.
    watched = Q(wave_closed_at__isnull=False) & Q(until__lte=Now())
    running = Execution.objects.under_way().filter(rollout_paused_at=None)
    running = running.alias(until=progress.soaks_until())
    return running.filter(Q(pk__in=again.values("execution")) | watched)


def _advance(execution_id: UUID) -> None:
    rollout.advance_all([execution_id], skip_locked=True)


def _untold() -> QuerySet[Execution]:
    """Those that ended within the last day and have not opened all that waits for their end."""
    ended = Execution.objects.filter(completed_at__gte=clock.now() - DEPENDENCY_WINDOW)
    succeeded = Q(ended_as="success") & _leaves_untold("success", "completion")
    failed = Q(ended_as__in=["partial", "failed"]) & _leaves_untold("failure", "completion")
    return ended.filter(succeeded | failed)


def _leaves_untold(*on: str) -> Q:
    """Some dependent that keeps to such an end has not been opened by it."""
    told = Execution.objects.filter(
        trigger="dependency", caused_by=OuterRef(OuterRef("pk")), task=OuterRef("task")
    )
    waiting = TaskDependency.objects.filter(
        parent=OuterRef("task"),
        on__in=on,
        active_since__lte=OuterRef("completed_at"),
        task__is_paused=False,
    )
    return Q(Exists(waiting.exclude(Exists(told))))


open_dependents = InTurn("open_dependents", _untold, opening.open_dependents)


def refresh_groups() -> int:
    """Brings the members of groups by query up to date."""
    return membership.refresh_stale()


def wake_hubs() -> int:
    waiting = DeviceRun.objects.filter(status="queued", has_slot=True, device__is_online=True)
    if waiting.exists():
        hints.offer_runs()
        return 1
    return 0


def update_agents() -> int:
    """Signs the agent's wheel, asks for those that update by themselves, and closes what ended."""
    try:
        signed = agent_updates.sign()
    except keys.SigningKeyError as error:
        log.warning("agent_release_not_signed", why=str(error))
        return 0
    return signed + agent_updates.ask_share() + agent_updates.settle()


STEPS: tuple[Callable[[], int], ...] = (
    sweep_presence,
    open_due,
    newzones.replan,
    expire,
    skip_forbidden,
    lose,
    release_claims,
    # Before all the others, most of which may be waiting for devices that are away.
    InTurn("advance_what_is_due", _wait_no_longer, _advance),
    InTurn("advance", Execution.objects.under_way, _advance),
    InTurn("release_queue", _queueing, opening.release_queued),
    InTurn("settle_tasks", _running, settling.settle_task),
    open_dependents,
    refresh_groups,
    update_agents,
    wake_hubs,
    merging.merge_some,
)


def round_of_all() -> dict[str, int]:
    """Every step once; answers what each did. One that fails does not keep the others from theirs."""
    done = {}
    for step in STEPS:
        try:
            done[step.__name__] = step()
        except (DatabaseError, InterfaceError) as error:
            log.warning("reconcile_step_failed", step=step.__name__, error=type(error).__name__)
            connection.close()
        except Exception:
            log.exception("reconcile_step_failed", step=step.__name__)
            connection.close()
    return done


def _end(runs: QuerySet[DeviceRun], status: str, reason: str) -> int:
    """Ends these runs and moves their executions on, in short transactions."""
    changes: dict[str, Any] = {"finished_at": Now(), "error_message": reason}
    if status == "lost":
        changes["was_lost"] = True
    ended = 0
    for _number in range(MOST_BATCHES):
        with transaction.atomic():
            # By the default order, a history might be read from its end for the few that wait.
            rows = list(runs.order_by().values_list("pk", "execution")[:AT_ONCE])
            moved = DeviceRun.objects.filter(pk__in=[pk for pk, _ in rows]).move(status, **changes)
            executions = {execution_id for _, execution_id in rows}
            hints.advance(executions)
            live.changed("execution", executions)
        ended += moved
        if len(rows) < AT_ONCE:
            break
    return ended


class Reconciler(threading.Thread):
    """The loop, beginning at once. `stop()` ends it at the next pause."""

    def __init__(self) -> None:
        super().__init__(name="reconcile", daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                log.debug("reconciled", **round_of_all())
                self._stopping.wait(_pause_seconds())
        finally:
            connection.close()

    def stop(self) -> None:
        self._stopping.set()


def _pause_seconds() -> float:
    """A little different each time, so that many processes do not come at once for ever."""
    return settings.DEPLOYX_RECONCILE_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311
