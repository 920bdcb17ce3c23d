"""Which runs may go next, and when an execution has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Count, Min, Q
from django.utils.translation import gettext as _

from accounts.database import is_away
from devices import keys
from scheduling import (
    attempts,
    cancelling,
    clock,
    hints,
    live,
    opening,
    progress,
    release,
    rollbacks,
    settling,
)
from scheduling.models import DeviceRun, Execution
from scheduling.options import TRANSACTIONAL, Rollout, amount_of

log = structlog.get_logger(__name__)
GATED = frozenset({"canary", "blue_green"})
# One execution of very many small waves keeps no worker from the others for long.
MOST_ROUNDS = 100


def advance(execution_id: UUID, *, skip_locked: bool = False) -> None:
    """Moves an execution on as far as it can go now: retries, abort, waves, release, end.

    Safe to call at any time, any number of times, from any worker; each round is a transaction.
    `skip_locked` leaves one that another process is at to that process.
    """
    for _number in range(MOST_ROUNDS):
        if not _round(execution_id, skip_locked):
            break
    else:
        hints.advance([execution_id])
    execution = Execution.objects.filter(pk=execution_id).only("task_id").first()
    if execution is not None and execution.task_id is not None:
        settling.settle_task(execution.task_id)
        opening.release_queued(execution.task_id)


@transaction.atomic
def _round(execution_id: UUID, skip_locked: bool) -> bool:
    """One step under the execution's lock; whether another may follow at once."""
    keys.share_signing()
    execution = (
        Execution.objects.select_for_update(of=("self",), skip_locked=skip_locked)
        .select_related("user")
        .defer("payload", "rollback_payload")
        .filter(pk=execution_id)
        .first()
    )
    if execution is None or execution.status != Execution.Status.RUNNING:
        return False
    now = clock.now()
    more = execution.cancel_requested_at is None and _move_on(execution, now)
    if more or execution.runs.unended().exists():
        return more
    # In this order: whatever has ended in the middle of this round is seen here.
    if execution.cancel_requested_at is None and _owes(execution):
        return True
    settling.end_if_done(execution, now)
    return False


def _owes(execution: Execution) -> bool:
    rollout = Rollout.parse(execution.definition["rollout"])
    return (
        attempts.are_due(execution)
        or attempts.give_back([execution.pk])
        or rollbacks.are_due(execution, rollout)
    )


def _move_on(execution: Execution, now: datetime) -> bool:
    rollout = Rollout.parse(execution.definition["rollout"])
    # Only who has no attempt left has failed: all of them get theirs before anything is judged.
    if attempts.add(execution, now):
        return True
    _abort_where_due(execution, rollout)
    return rollbacks.add(execution, rollout) or _release(execution, rollout, now)


def _release(execution: Execution, rollout: Rollout, now: datetime) -> bool:
    release.take_back_slots(execution)
    if attempts.give_back([execution.pk]):
        return True  # as it stands now, it may have to be aborted
    if execution.rollout_paused_at is not None:
        _note_the_end_of_the_wave(execution, now)
        return False
    has_opened = execution.abort_requested_at is None and _open_next_wave(execution, rollout, now)
    slots = rollout.max_concurrent - release.used_slots(execution)
    more = release.release(execution, slots, now)
    if execution.runs.filter(status="queued", has_slot=True).exists():
        hints.offer_runs()
    return has_opened or more


def _abort_where_due(execution: Execution, rollout: Rollout) -> None:
    """Aborts by rule, once enough devices have failed with their attempts used up."""
    if execution.abort_requested_at is not None:
        # What an abort could not end yet, because its device was being recovered.
        cancelling.skip_unstarted(execution, execution.abort_reason)
        return
    if rollout.abort_after_failures is None and rollout.strategy != TRANSACTIONAL:
        return
    if reason := _why_abort(rollout, _standing(execution)):
        _abort(execution, reason)


def _standing(execution: Execution) -> dict[str, Any]:
    """How many devices there are, how many count for and against, and how many still may."""
    against = Q(status__in=DeviceRun.AGAINST) | progress.OVERDUE
    still_open = Q(status__in=DeviceRun.UNENDED) & ~progress.OVERDUE
    return execution.runs.filter(progress.COUNTED).aggregate(
        total=Count("pk"),
        succeeded=Count("pk", filter=Q(status="succeeded")),
        against=Count("pk", filter=against),
        open=Count("pk", filter=still_open),
    )


def _why_abort(rollout: Rollout, standing: dict[str, Any]) -> str:
    against = standing["against"]
    if rollout.abort_after_failures is not None:
        limit = amount_of(rollout.abort_after_failures, standing["total"])
        if against >= limit:
            reason = _(
                "The rollout was aborted: %(number)s devices failed, the limit is %(limit)s."
            )
            return reason % {"number": against, "limit": limit}
    needed = rollout.success_threshold_percent
    if rollout.strategy == TRANSACTIONAL and _is_out_of_reach(needed, standing):
        reason = _(
            "The rollout was aborted: %(number)s devices failed, and %(percent)s %% cannot succeed"
            " any more."
        )
        return reason % {"number": against, "percent": needed}
    return ""


def _is_out_of_reach(needed_percent: int, standing: dict[str, Any]) -> bool:
    """Whether the judgement would not be success even if all that are left succeeded."""
    best = standing["succeeded"] + standing["open"]
    return bool(best * 100 < needed_percent * (best + standing["against"]))


def _abort(execution: Execution, reason: str) -> None:
    """By rule; a result that has just come may have an attempt left, and the next round counts it
    rightly."""
    if attempts.are_due(execution):
        return
    execution.abort_requested_at, execution.abort_reason = clock.now(), reason
    execution.save(update_fields=["abort_requested_at", "abort_reason"])
    cancelling.skip_unstarted(execution, reason)
    log.info("rollout_aborted", execution=str(execution.pk))
    live.changed("execution", [execution.pk])


def _open_next_wave(execution: Execution, rollout: Rollout, now: datetime) -> bool:
    """Opens the next wave that has anything to release, where it may go; whether it did."""
    waiting = execution.runs.filter(status="pending", wave__gt=execution.open_wave)
    following: int | None = waiting.aggregate(wave=Min("wave"))["wave"]
    if following is None:
        return False
    if execution.open_wave > 0 and not _has_soaked(execution, rollout, now):
        return False
    if attempts.are_due(execution) or attempts.give_back([execution.pk]):
        return False
    _set_wave(execution, following)
    return True


def _has_soaked(execution: Execution, rollout: Rollout, now: datetime) -> bool:
    """Whether the open wave is closed, and has been for as long as it is to be watched."""
    is_closed = execution.abort_requested_at is None and _wave_is_closed(execution, rollout)
    if not is_closed:
        _mark_closed(execution, None)  # a device that came back has opened it again
        return False
    closed_at = execution.wave_closed_at or now
    _mark_closed(execution, closed_at)
    return now >= progress.soaked_at(execution, closed_at)


def _note_the_end_of_the_wave(execution: Execution, now: datetime) -> None:
    """What is watched before the next wave is watched while the rollout is paused as well; it is
    judged when that is resumed."""
    later = execution.runs.filter(status="pending", wave__gt=execution.open_wave)
    if execution.open_wave == 0 or execution.abort_requested_at is not None or not later.exists():
        return
    wave = execution.runs.filter(progress.COUNTED, wave=execution.open_wave)
    is_over = not progress.active(wave).exists() and not attempts.are_due(execution)
    _mark_closed(execution, (execution.wave_closed_at or now) if is_over else None)


def _mark_closed(execution: Execution, closed_at: datetime | None) -> None:
    if execution.wave_closed_at != closed_at:
        execution.wave_closed_at = closed_at
        execution.save(update_fields=["wave_closed_at"])
        live.changed("execution", [execution.pk])


def _set_wave(execution: Execution, wave: int) -> None:
    execution.open_wave, execution.wave_closed_at = wave, None
    execution.save(update_fields=["open_wave", "wave_closed_at"])
    live.changed("execution", [execution.pk])


def _wave_is_closed(execution: Execution, rollout: Rollout) -> bool:
    """Whether the open wave's devices, those waiting offline aside, have ended; for canary and
    blue_green with a success among them, and aborting where too few succeeded."""
    wave = execution.runs.filter(progress.COUNTED, wave=execution.open_wave)
    if progress.active(wave).exists():
        return False
    if rollout.strategy not in GATED:
        return True
    succeeded = wave.filter(status="succeeded").count()
    against = wave.filter(Q(status__in=DeviceRun.AGAINST) | progress.OVERDUE).count()
    judged = succeeded + against
    if judged and succeeded * 100 < rollout.success_threshold_percent * judged:
        reason = _("The rollout was aborted: too few devices of the first wave succeeded.")
        _abort(execution, reason)
        return False
    if succeeded == 0 and not wave.unended().exclude(progress.OVERDUE).exists():
        # Nobody is left to wait for.
        _abort(execution, _("The rollout was aborted: no device of the first wave succeeded."))
    return succeeded > 0 and execution.abort_requested_at is None


def advance_all(execution_ids: Iterable[UUID], *, skip_locked: bool = False) -> None:
    """Advances each; one that another process changed at the same moment is left to it, and one that
    cannot be advanced keeps no other from it."""
    for execution_id in execution_ids:
        try:
            advance(execution_id, skip_locked=skip_locked)
        except IntegrityError as error:
            log.warning("advance_lost_a_race", execution=str(execution_id), error=str(error))
        except Exception as error:
            if is_away(error):
                raise
            log.exception("execution_not_advanced", execution=str(execution_id))
