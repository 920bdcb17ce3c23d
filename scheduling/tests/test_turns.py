"""Under run_all, what was missed runs one after another, and is in nobody's way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from devices.models import Device
from scheduling import due, rollout, schedules, tasks
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")
EXCLUSIVE = ["skip", "queue_one", "cancel_running"]


def behind(admin: User, device: Device, overlap: str, missed: int = 3) -> ScheduledTask:
    task = factories.task(admin, devices=[device], misfire_policy="run_all", overlap_policy=overlap)
    factories.fall_behind(task, missed, ago=timedelta(seconds=400))
    return task


def open_due(task: ScheduledTask) -> int:
    return due.open_all(task.pk, None, "beat")


def finish(execution: Execution) -> None:
    """Its run is carried out, and it is judged."""
    rollout.advance(execution.pk)
    for run in execution.runs.all():
        factories.carry_out(run)
    rollout.advance(execution.pk)


def under_way(task: ScheduledTask) -> Execution:
    return task.executions.get(status="running")


def set_back(execution: Execution, by: timedelta) -> None:
    """It was opened so much earlier, as late as now, and is at work since."""
    began = timezone.now() - by
    assert execution.due_at is not None
    Execution.objects.filter(pk=execution.pk).update(
        due_at=execution.due_at - by, created_at=began, started_at=began
    )
    rollout.advance(execution.pk)
    (run,) = execution.runs.all()
    assert run.device is not None
    factories.ledger.claim([factories.session_of(run.device)])
    factories.ledger.start([(factories.session_of(run.device), run.pk)])
    DeviceRun.objects.filter(pk=run.pk).update(started_at=began)


@pytest.mark.parametrize("overlap", EXCLUSIVE)
def test_each_that_was_missed_runs(admin: User, web_device: Device, overlap: str) -> None:
    task = behind(admin, web_device, overlap)
    for number in range(1, 4):
        assert open_due(task) == 1
        assert (open_due(task), task.executions.count()) == (0, number)
        finish(under_way(task))
    assert [one.status for one in task.executions.all()] == ["success"] * 3
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()


@pytest.mark.parametrize("overlap", EXCLUSIVE)
def test_what_was_under_way_when_everything_was_down_is_waited_for(
    admin: User, web_device: Device, overlap: str
) -> None:
    task = behind(admin, web_device, overlap)
    moments = (task.next_run_time, task.next_scheduled_for)
    old = factories.execution(task, started_at=timezone.now() - timedelta(hours=2))
    run = factories.run(old, web_device, status="running")
    assert open_due(task) == 0
    task.refresh_from_db()
    assert (task.next_run_time, task.next_scheduled_for) == moments
    factories.ledger.results([factories.result_of(run)])
    assert open_due(task) == 1
    old.refresh_from_db()
    assert old.cancel_requested_at is None


def test_those_within_their_grace_as_well(admin: User, web_device: Device) -> None:
    task = factories.task(admin, devices=[web_device], misfire_policy="run_all")
    factories.fall_behind(task, 3, ago=timedelta(seconds=30), every=timedelta(minutes=1))
    for _number in range(3):
        assert open_due(task) == 1
        finish(under_way(task))
    assert set(task.executions.values_list("status", flat=True)) == {"success"}


def test_the_end_of_one_asks_for_the_next(
    admin: User, web_device: Device, sent: list[Any], after_commit: Any
) -> None:
    task = behind(admin, web_device, "skip")
    open_due(task)
    with after_commit():
        finish(under_way(task))
    ((args, opened_by),) = [given for name, given in sent if name == "scheduling.tasks.open_due"]
    tasks.open_due(args, opened_by)
    assert under_way(task).opened_by == "worker"


def test_what_comes_due_during_a_catch_up_heeds_the_overlap(
    admin: User, web_device: Device
) -> None:
    """Runs of 15 minutes every 10: what was missed is caught up with, and then all is as before."""
    task = behind(admin, web_device, "skip", missed=1)
    open_due(task)
    set_back(under_way(task), timedelta(minutes=15))
    factories.fall_behind(task, 1, ago=timedelta(minutes=5))
    assert open_due(task) == 1
    skipped = task.executions.get(status="skipped")
    assert str(under_way(task).pk) in skipped.error_message
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()


def test_a_pause_and_an_edit_of_the_rule_drop_what_waits(admin: User, web_device: Device) -> None:
    for change in (
        lambda task: schedules.resume(schedules.pause(task, admin), admin),
        lambda task: schedules.update(task, admin, {"time_zone": "Asia/Tokyo"}, partial=True),
    ):
        task = behind(admin, web_device, "skip")
        open_due(task)
        change(task)
        finish(under_way(task))
        assert (open_due(task), task.executions.count()) == (0, 1)


def test_the_tasks_page_says_what_it_waits_for(
    client: Client, admin: User, web_device: Device
) -> None:
    task = behind(admin, web_device, "skip")
    client.force_login(admin)
    said = "An earlier execution of the task has to end first."
    assert said not in client.get(task.get_absolute_url()).content.decode()
    open_due(task)
    assert said in client.get(task.get_absolute_url()).content.decode()


def test_what_waits_keeps_no_other_from_being_opened_by_reconcile(
    admin: User, web_device: Device
) -> None:
    for _number in range(3):
        open_due(behind(admin, web_device, "skip"))
    other = factories.task(admin)
    moment: datetime = factories.make_due(other)
    overdue = due.Overdue()
    assert [overdue("reconcile", limit=2) for _number in range(2)] == [0, 1]
    assert other.executions.get().scheduled_for == moment
