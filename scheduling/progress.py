"""How far executions are, read from their runs: counts, what is under way, and the judgement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import (
    Count,
    DateTimeField,
    DurationField,
    Expression,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    Q,
)
from django.db.models.functions import Cast, Now

from scheduling.models import DeviceRun, Execution
from scheduling.models.device_run import DeviceRunQuerySet
from scheduling.options import Rollout

# It waits for a device that is away: takes no slot, keeps no wave open, is not under way.
WAITS_OFFLINE = Q(status__in=DeviceRun.UNSTARTED, device__is_online=False)
# Its device had its time and a minute more: no longer in anybody's way but its own device's.
OVERDUE = Q(status="running", deadline_at__lt=Now())
# On its way to, or on, a device; one past its deadline no longer.
HOLDS_SLOT = Q(has_slot=True, status__in=["queued", "claimed", "running"]) & ~OVERDUE
# Up to 64 KiB each, which no answer about progress looks at.
BULKY = ("definition", "payload", "rollback_payload")
COUNTED = Q(is_last_attempt=True, rolls_back=None)
# What a task's health is read from, skipped and cancelled executions aside.
TELLING = ("success", "partial", "failed", "missed")
LOOK_BACK = 100
_LATEST_ENDED = """
SELECT task.id, latest.status
  FROM unnest(%s::uuid[]) AS task (id), LATERAL (
       SELECT status FROM (
              SELECT id, status, coalesce(scheduled_for, created_at) AS moment
                FROM scheduled_task_executions
               WHERE task_id = task.id AND status = ANY(%s)
               ORDER BY id DESC LIMIT %s) AS recent
        ORDER BY moment DESC, id DESC LIMIT 1) AS latest
"""


def under_way(task_id: UUID | None) -> list[Execution]:
    """The task's executions that are under way, oldest first, with those still in the queue."""
    executions = Execution.objects.filter(task=task_id).unended()
    holding = active(DeviceRun.objects.filter(execution__in=executions))
    return list(
        executions.filter(Q(status="pending") | Q(pk__in=holding.values("execution")))
        .order_by("id")
        .defer(*BULKY)
    )


def soaked_at(execution: Execution, closed_at: datetime) -> datetime:
    """When its next wave may go, the open one having closed then."""
    rollout = Rollout.parse(execution.definition["rollout"])
    return closed_at + timedelta(seconds=rollout.soak_seconds)


def soaks_until() -> Expression:
    """When an execution's next wave may go, as the database reckons it; null where the open one is
    not closed."""
    seconds = Cast(F("definition__rollout__soak_seconds"), FloatField())
    soak = Func(
        seconds, template="make_interval(secs => %(expressions)s)", output_field=DurationField()
    )
    return ExpressionWrapper(F("wave_closed_at") + soak, output_field=DateTimeField())


def active(runs: DeviceRunQuerySet) -> DeviceRunQuerySet:
    """Those of these runs that others have to wait for."""
    return runs.unended().exclude(WAITS_OFFLINE).exclude(OVERDUE)


def counts(execution_ids: Iterable[UUID]) -> dict[UUID, dict[str, int]]:
    """For each execution, how many devices stand in each state, every state named."""
    empty = dict.fromkeys(DeviceRun.Status.values, 0)
    by_execution = {pk: dict(empty) for pk in execution_ids}
    rows = (
        DeviceRun.objects.filter(COUNTED, execution__in=by_execution)
        .values_list("execution", "status")
        .annotate(runs=Count("pk"))
    )
    for execution_id, status, number in rows:
        by_execution[execution_id][status] = number
    return by_execution


def result_of(by_status: dict[str, int]) -> dict[str, Any]:
    """The `result` of an execution, from the number of devices in each state."""
    return {
        "devices_targeted": sum(by_status.values()),
        "devices_succeeded": by_status["succeeded"],
        "devices_failed": sum(by_status[status] for status in DeviceRun.AGAINST),
        "counts": by_status,
    }


def judgement(by_status: dict[str, int], threshold_percent: int, *, cancelled: bool) -> str:
    """The end state these counts give. Skipped and cancelled devices count neither way."""
    if cancelled:
        return Execution.Status.CANCELLED
    succeeded = by_status["succeeded"]
    judged = succeeded + sum(by_status[status] for status in DeviceRun.AGAINST)
    if judged == 0:
        return Execution.Status.CANCELLED if by_status["cancelled"] else Execution.Status.SKIPPED
    if succeeded * 100 >= threshold_percent * judged:
        return Execution.Status.SUCCESS
    return Execution.Status.PARTIAL if succeeded else Execution.Status.FAILED


def with_results(executions: Iterable[Execution]) -> list[Execution]:
    """The same executions, with the result of those that have not ended counted now, in one query."""
    rows = list(executions)
    unended = counts(row.pk for row in rows if not row.has_ended)
    for row in rows:
        if row.pk in unended:
            row.result = result_of(unended[row.pk])
    return rows


def latest_ended(task_id: UUID) -> Execution | None:
    """The execution a task's health is read from: the latest ended, skipped and cancelled aside."""
    ended = Execution.objects.filter(task=task_id, status__in=TELLING)
    return max(ended.order_by("-id").defer(*BULKY)[:LOOK_BACK], key=_moment, default=None)


def latest_ended_statuses(task_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The status of `latest_ended` for many tasks, in one query; tasks without one are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST_ENDED, [list(task_ids), list(TELLING), LOOK_BACK])
        return dict(cursor.fetchall())


def _moment(execution: Execution) -> tuple[datetime, UUID]:
    return execution.scheduled_for or execution.created_at, execution.pk
