"""Celery's entry points: each hands its ids to one verb, in the queue it belongs to."""

from __future__ import annotations

import pytest
from celery.app import app_or_default
from django.contrib.auth.models import User

from devices.models import Device
from scheduling import schedules, tasks
from scheduling.models import Execution, ScheduledTask, ServiceHeartbeat
from scheduling.tests import factories


def test_due_occurrences_are_opened_as_announced(task: ScheduledTask, admin: User) -> None:
    other = factories.task(admin)
    moments = [factories.make_due(one) for one in (task, other)]
    tasks.open_due([(str(task.pk), moments[0].isoformat()), (str(other.pk), None)], "beat")
    opened = Execution.objects.values_list("task", "scheduled_for", "opened_by")
    assert set(opened) == {(task.pk, moments[0], "beat"), (other.pk, moments[1], "beat")}


def test_executions_are_advanced(admin: User, web_device: Device, signer: str) -> None:
    execution = schedules.execute(factories.by_hand(admin, devices=[web_device]), admin)
    tasks.advance([str(execution.pk)])
    assert execution.runs.get().status == "queued"


def test_dependents_are_opened(task: ScheduledTask, admin: User) -> None:
    links = [{"task_id": str(task.pk), "on": "success"}]
    child = factories.by_hand(admin, depends_on=links)
    tasks.open_dependents(str(factories.execution(task, status="success").pk))
    assert child.executions.count() == 1


def test_a_round_of_reconcile_and_of_pruning_tell_what_they_did(
    task: ScheduledTask, signer: str
) -> None:
    factories.make_due(task)
    assert tasks.reconcile_now()["open_due"] == 1
    assert tasks.prune()["executions"] == 0


def test_a_worker_that_takes_work_shows_that_it_lives(db: None) -> None:
    tasks.heartbeat("worker@host:1")
    assert ServiceHeartbeat.objects.get().name == "worker@host:1"


QUEUES = [
    (tasks.open_due, "dispatch"),
    (tasks.advance, "dispatch"),
    (tasks.open_dependents, "dispatch"),
    (tasks.heartbeat, "dispatch"),
    (tasks.prune, "housekeeping"),
    (tasks.reconcile_now, "housekeeping"),
]


@pytest.mark.parametrize(("task", "queue"), QUEUES, ids=lambda one: getattr(one, "name", one))
def test_long_work_stands_in_nobodys_way(task: object, queue: str) -> None:
    route = app_or_default().amqp.router.route({}, task.name)  # type: ignore[attr-defined]
    assert route["queue"].name == queue
