"""Which runs may go next, and when an execution has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _

from scheduling import (
    cancelling,
    clock,
    hints,
    live,
    opening,
    progress,
    release,
    settling,
)
from scheduling.models import DeviceRun, Execution
from scheduling.options import Retry, Rollout, amount_of

log = structlog.get_logger(__name__)
GATED = frozenset({"canary", "blue_green"})


def advance(execution_id: UUID, *, skip_locked: bool = False) -> None:
    """Moves an execution on as far as it can go now: retries, abort, waves, release, end.

    Safe to call at any time, any number of times, from any worker; each round is a transaction.
    `skip_locked` leaves one that another process is at to that process.
    """
    while _round(execution_id, skip_locked):
        pass
    execution = Execution.objects.filter(pk=execution_id).only("task_id").first()
    if execution is not None and execution.task_id is not None:
        settling.settle_task(execution.task_id)
        opening.release_queued(execution.task_id)


@transaction.atomic
def _round(execution_id: UUID, skip_locked: bool) -> bool:
    """One step under the execution's lock; whether another may follow at once."""
    execution = (
        Execution.objects.select_for_update(of=("self",), skip_locked=skip_locked)
        .select_related("user")
        .filter(pk=execution_id)
        .first()
    )
    if execution is None or execution.status != Execution.Status.RUNNING:
        return False
    now = clock.now()
    more = False
    if execution.cancel_requested_at is None:
        _retry_failed(execution, now)
        _abort_where_due(execution)
        more = _release(execution, now)
    if not more:
        settling.end_if_done(execution, now)
    return more


def _release(execution: Execution, now: datetime) -> bool:
    release.take_back_slots(execution)
    if execution.abort_requested_at is not None:
        # What an abort could not end yet, because its device was being recovered.
        cancelling.skip_unstarted(execution, execution.abort_reason)
        return False
    if execution.rollout_paused_at is not None:
        return False
    rollout = Rollout.parse(execution.definition["rollout"])
    _open_next_wave(execution, rollout, now)
    slots = rollout.max_concurrent - release.used_slots(execution)
    more = release.release(execution, slots, now)
    if execution.runs.filter(status="queued", has_slot=True).exists():
        hints.wake_hubs()
    return more


def _retry_failed(execution: Execution, now: datetime) -> None:
    """A next attempt for every device that failed or timed out and has one left."""
    retry = Retry.parse(execution.definition["retry"])
    if retry.max_attempts == 1 or execution.abort_requested_at is not None:
        return
    failed = execution.runs.filter(
        progress.COUNTED,
        status__in=["failed", "timed_out"],
        attempt__lt=retry.max_attempts,
        was_lost=False,
    )
    if retry.on_exit_codes:
        failed = failed.filter(exit_code__in=retry.on_exit_codes)
    again = list(failed.exclude(device=None)[: release.BATCH])
    for run in again:
        _add_attempt(run, retry, now)
    if again:
        live.changed("execution", [execution.pk])


def _add_attempt(run: DeviceRun, retry: Retry, now: datetime) -> None:
    attempt = run.attempt + 1
    DeviceRun.objects.filter(pk=run.pk).update(is_last_attempt=False)
    DeviceRun.objects.create(
        execution_id=run.execution_id,
        task_id=run.task_id,
        device_id=run.device_id,
        device_name=run.device_name,
        attempt=attempt,
        wave=run.wave,
        timeout_seconds=run.timeout_seconds,
        is_exclusive=run.is_exclusive,
        not_before=(run.finished_at or now) + timedelta(seconds=retry.delay_seconds(attempt)),
    )


def _abort_where_due(execution: Execution) -> None:
    """Aborts by rule, once enough devices have failed with their attempts used up."""
    rollout = Rollout.parse(execution.definition["rollout"])
    if rollout.abort_after_failures is None or execution.abort_requested_at is not None:
        return
    runs = execution.runs.filter(progress.COUNTED)
    against = Q(status__in=DeviceRun.AGAINST) | progress.OVERDUE
    numbers = runs.aggregate(total=Count("pk"), against=Count("pk", filter=against))
    limit = amount_of(rollout.abort_after_failures, numbers["total"])
    if numbers["against"] >= limit:
        reason = _("The rollout was aborted: %(number)s devices failed, the limit is %(limit)s.")
        _abort(execution, reason % {"number": numbers["against"], "limit": limit})


def _abort(execution: Execution, reason: str) -> None:
    execution.abort_requested_at, execution.abort_reason = clock.now(), reason
    execution.save(update_fields=["abort_requested_at", "abort_reason"])
    cancelling.skip_unstarted(execution, reason)
    log.info("rollout_aborted", execution=str(execution.pk))
    live.changed("execution", [execution.pk])


def _open_next_wave(execution: Execution, rollout: Rollout, now: datetime) -> None:
    if execution.open_wave == 0:
        _set_wave(execution, 1)
        return
    waiting = execution.runs.filter(status="pending", wave__gt=execution.open_wave)
    if not waiting.exists() or not _wave_is_closed(execution, rollout):
        return
    if execution.wave_closed_at is None:
        execution.wave_closed_at = now
        execution.save(update_fields=["wave_closed_at"])
    if now >= execution.wave_closed_at + timedelta(seconds=rollout.soak_seconds):
        _set_wave(execution, execution.open_wave + 1)


def _set_wave(execution: Execution, wave: int) -> None:
    execution.open_wave, execution.wave_closed_at = wave, None
    execution.save(update_fields=["open_wave", "wave_closed_at"])
    live.changed("execution", [execution.pk])


def _wave_is_closed(execution: Execution, rollout: Rollout) -> bool:
    """Whether the open wave's devices, those waiting offline aside, have ended; for canary and
    blue_green with a success among them, and aborting where too few succeeded."""
    wave = execution.runs.filter(progress.COUNTED, wave=execution.open_wave)
    unended = wave.unended().exclude(progress.WAITS_OFFLINE).exclude(progress.OVERDUE)
    if unended.exists():
        return False
    if rollout.strategy not in GATED:
        return True
    succeeded = wave.filter(status="succeeded").count()
    against = wave.filter(Q(status__in=DeviceRun.AGAINST) | progress.OVERDUE).count()
    judged = succeeded + against
    if judged and succeeded * 100 < rollout.success_threshold_percent * judged:
        _abort(
            execution, _("The rollout was aborted: too few devices of the first wave succeeded.")
        )
        return False
    return succeeded > 0


def advance_all(execution_ids: Iterable[UUID], *, skip_locked: bool = False) -> None:
    """Advances each; one that another process changed at the same moment is left to it."""
    for execution_id in execution_ids:
        try:
            advance(execution_id, skip_locked=skip_locked)
        except IntegrityError as error:
            log.warning("advance_lost_a_race", execution=str(execution_id), error=str(error))
