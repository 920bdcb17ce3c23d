"""Celery's entry points: ids in, one verb called, safe to run twice. Messages are only hints."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from celery import shared_task

from scheduling import due, heartbeats, opening, pruning, reconcile, rollout

PRUNE_SECONDS = 3_600.0


@shared_task(name="scheduling.tasks.open_due")
def open_due(pairs: list[tuple[str, str | None]], opened_by: str = "stock") -> None:
    """Opens occurrences: [(task id, nominal time in ISO 8601 or null for whichever is next)]."""
    wanted = {
        UUID(task_id): datetime.fromisoformat(scheduled_for) if scheduled_for else None
        for task_id, scheduled_for in pairs
    }
    due.open_many(wanted, opened_by)


@shared_task(name="scheduling.tasks.advance")
def advance(execution_ids: list[str]) -> None:
    """Moves executions on: next attempts, waves, releases, the end."""
    rollout.advance_all(UUID(one) for one in execution_ids)


@shared_task(name="scheduling.tasks.open_dependents")
def open_dependents(execution_id: str) -> None:
    """Opens the tasks that wait for this execution's end."""
    opening.open_dependents(UUID(execution_id))


@shared_task(name="scheduling.tasks.prune", ignore_result=False)
def prune() -> dict[str, int]:
    """Deletes what is past its time, in batches; how many rows of each. What an hour is not enough
    for is left to the next night: a child of the worker is not to be missing for longer."""
    return pruning.prune(most_seconds=PRUNE_SECONDS)


@shared_task(name="scheduling.tasks.reconcile", ignore_result=False)
def reconcile_now() -> dict[str, int]:
    """One round of reconcile, for a person who does not want to wait for the next."""
    return reconcile.round_of_all()


@shared_task(name="scheduling.tasks.heartbeat")
def heartbeat(worker: str) -> None:
    """Carried out by the worker that sent it to itself: it lives and takes work."""
    heartbeats.record("worker", worker)
