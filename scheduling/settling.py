"""The end of an execution, and what it means for its task."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction
from django.utils.translation import ngettext

from scheduling import attempts, hints, live, planning, progress, rollbacks
from scheduling.beat import mirror
from scheduling.models import Execution, ScheduledTask
from scheduling.options import Rollout

log = structlog.get_logger(__name__)
MOST_REASONS = 3


def end_if_done(execution: Execution, now: datetime) -> bool:
    """Ends a running execution all of whose runs have ended. The caller holds its row."""
    if execution.runs.unended().exists():
        return False
    attempts.give_back([execution.pk])
    by_status = progress.counts([execution.pk])[execution.pk]
    status = _judged(execution, by_status)
    moved = Execution.objects.filter(pk=execution.pk).move(
        status,
        completed_at=now,
        result=progress.result_of(by_status),
        error_message=_reason(execution, status),
    )
    if moved:
        log.info("execution_ended", execution=str(execution.pk), status=str(status))
        hints.open_dependents(execution.pk)
        live.changed("execution", [execution.pk])
    return bool(moved)


def _reason(execution: Execution, status: str) -> str:
    """Why it did not run, or not wholly: the rollout's own reason, else what its runs say."""
    if execution.abort_reason or status != Execution.Status.SKIPPED:
        return " ".join(filter(None, [execution.abort_reason, _not_undone(execution)]))
    said = execution.runs.filter(status="skipped").exclude(error_message="")
    reasons = said.order_by().values_list("error_message", flat=True).distinct()
    return " ".join(reasons[:MOST_REASONS])


def _not_undone(execution: Execution) -> str:
    number = rollbacks.unsuccessful(execution) if execution.rollback_payload else 0
    if number == 0:
        return ""
    said = ngettext(
        "On %d device the rollback did not succeed.",
        "On %d devices the rollback did not succeed.",
        number,
    )
    return said % number


@transaction.atomic
def rewrite_by_late_evidence(execution_id: UUID) -> None:
    """Counts and judges an ended execution anew after a lost run was settled; opens nothing."""
    execution = Execution.objects.select_for_update(of=("self",)).get(pk=execution_id)
    if not execution.has_ended:
        return
    by_status = progress.counts([execution.pk])[execution.pk]
    result = progress.result_of(by_status)
    Execution.objects.filter(pk=execution.pk).update(result=result)
    status = _judged(execution, by_status)
    if status != execution.status:
        # Only success, partial and failed may change among themselves; the table holds that.
        Execution.objects.filter(pk=execution.pk).move(status)
    live.changed("execution", [execution.pk])
    if execution.task_id is not None:
        # Who holds a task may be waiting for the rows this transaction holds; then the hint that
        # follows the commit does it.
        settle_task(execution.task_id, skip_locked=True)


@transaction.atomic
def settle_task(task_id: UUID, *, skip_locked: bool = False) -> None:
    """Brings a task's status and its latest execution's up to date with what has happened."""
    locked = ScheduledTask.objects.select_for_update(of=("self",), skip_locked=skip_locked)
    task = locked.filter(pk=task_id).first()
    if task is None:
        return
    before = (task.status, task.last_execution_status)
    started = Execution.objects.filter(task=task_id, started_at__isnull=False)
    latest = started.defer(*progress.BULKY).order_by("-started_at", "-id").first()
    if latest is not None:
        task.last_execution_status = latest.status
    planning.refresh_status(task)
    if (task.status, task.last_execution_status) != before:
        task.save(update_fields=["status", "last_execution_status"])
        mirror.write(task)
        live.changed("task", [task.pk])


def _judged(execution: Execution, by_status: dict[str, int]) -> str:
    rollout = Rollout.parse(execution.definition["rollout"])
    return progress.judgement(
        by_status,
        rollout.success_threshold_percent,
        cancelled=execution.cancel_requested_at is not None,
    )
