"""`status`: the first that holds of paused, running, failed, pending, completed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.models import Device
from scheduling import rollout, schedules, settling
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories


def status_of(task: ScheduledTask) -> str:
    settling.settle_task(task.pk)
    task.refresh_from_db()
    return task.status


# the ends of a planned task's executions, oldest first → its status, with and without a plan
ENDS = [
    ([], "pending", "completed"),
    (["success"], "pending", "completed"),
    (["failed"], "failed", "failed"),
    (["partial"], "failed", "failed"),
    (["missed"], "failed", "failed"),
    (["skipped"], "pending", "completed"),
    (["cancelled"], "pending", "completed"),
    (["failed", "success"], "pending", "completed"),
    (["success", "failed"], "failed", "failed"),
    (["failed", "skipped"], "failed", "failed"),
    (["failed", "cancelled"], "failed", "failed"),
    (["success", "missed", "skipped"], "failed", "failed"),
]


@pytest.mark.parametrize(("ends", "planned", "by_hand"), ENDS)
def test_health_is_that_of_the_latest_end_that_says_something(
    admin: User, ends: list[str], planned: str, by_hand: str
) -> None:
    for task, expected in ((factories.task(admin), planned), (factories.by_hand(admin), by_hand)):
        for end in ends:
            factories.execution(task, status=end)
        assert status_of(task) == expected


def test_latest_is_by_nominal_time_not_by_when_it_opened(admin: User) -> None:
    task = factories.task(admin)
    now = timezone.now()
    factories.execution(task, status="success", scheduled_for=now)
    factories.execution(task, status="failed", scheduled_for=now - timedelta(hours=1))
    assert status_of(task) == "pending"


def test_pausing_outranks_everything(admin: User) -> None:
    task = factories.task(admin)
    factories.run(factories.execution(task), status="running")
    schedules.pause(task, admin)
    assert status_of(task) == "paused"


def test_running_outranks_a_failure_before(admin: User) -> None:
    task = factories.task(admin)
    factories.execution(task, status="failed")
    execution = factories.execution(task)
    factories.run(execution, status="queued")
    assert status_of(task) == "running"


def test_a_queued_execution_alone_is_something_to_come(admin: User) -> None:
    task = factories.by_hand(admin)
    factories.execution(task, status="pending")
    assert status_of(task) == "pending"


@pytest.mark.parametrize("status", ["pending", "queued", "claimed"])
def test_waiting_for_an_offline_device_is_not_running(
    admin: User, web_device: Device, status: str
) -> None:
    task = factories.by_hand(admin, devices=[web_device])
    factories.run(factories.execution(task), web_device, status=status)
    assert status_of(task) == "running"
    factories.go_offline(web_device)
    assert status_of(task) == "pending"  # not completed: its execution has not ended
    factories.come_online(web_device)
    assert status_of(task) == "running"


def test_a_started_run_counts_until_its_deadline(admin: User, web_device: Device) -> None:
    task = factories.by_hand(admin, devices=[web_device])
    run = factories.run(factories.execution(task), web_device, status="running")
    factories.go_offline(web_device)
    assert status_of(task) == "running"
    DeviceRun.objects.filter(pk=run.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert status_of(task) == "pending"


def test_it_follows_an_execution_to_its_end(admin: User, web_device: Device, signer: str) -> None:
    task = factories.by_hand(admin, devices=[web_device])
    execution = schedules.execute(task, admin)
    task.refresh_from_db()
    assert (task.status, task.last_execution_status) == ("running", "running")
    rollout.advance(execution.pk)
    factories.carry_out(execution.runs.get(), "failed")
    rollout.advance(execution.pk)
    task.refresh_from_db()
    assert (task.status, task.last_execution_status) == ("failed", "failed")
    assert task.execution_count == 1


def test_late_evidence_heals_the_task(admin: User, web_device: Device, signer: str) -> None:
    task = factories.by_hand(admin, devices=[web_device])
    execution = factories.execution(task)
    run = factories.run(execution, web_device, status="lost")
    rollout.advance(execution.pk)
    assert status_of(task) == "failed"
    factories.ledger.results([factories.result_of(run)])
    execution.refresh_from_db()
    assert (execution.status, execution.result["devices_succeeded"]) == ("success", 1)
    rollout.advance(execution.pk)
    task.refresh_from_db()
    assert (task.status, task.last_execution_status) == ("completed", "success")
    assert Execution.objects.count() == 1
