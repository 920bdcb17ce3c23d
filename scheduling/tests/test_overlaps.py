from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.models import Device
from scheduling import executions, opening, rollout, schedules
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories


def planned(admin: User, policy: str, device: Device) -> ScheduledTask:
    """A task with an execution under way on this device."""
    task = factories.task(admin, overlap_policy=policy, devices=[device])
    execution = factories.execution(task)
    factories.run(execution, device, status="running")
    return task


def open_next(task: ScheduledTask) -> Execution:
    factories.make_due(task, ago=timedelta(seconds=10 * task.executions.count()))
    execution = opening.open_due(task.pk, None, "beat")
    assert execution is not None
    return execution


def finish(execution: Execution) -> None:
    """All its runs succeed, and it is judged."""
    execution.runs.move("succeeded", finished_at=timezone.now())
    rollout.advance(execution.pk)


def test_skip_names_the_one_in_the_way(admin: User, web_device: Device) -> None:
    task = planned(admin, "skip", web_device)
    ahead = task.executions.get()
    execution = open_next(task)
    assert execution.status == "skipped"
    assert str(ahead.pk) in execution.error_message


def test_allow_opens_beside_it(admin: User, web_device: Device) -> None:
    task = planned(admin, "allow", web_device)
    execution = open_next(task)
    assert execution.status == "running"
    assert not execution.runs.get().is_exclusive


def test_cancel_running_asks_for_the_old_ones_end_and_waits_for_it_on_the_device(
    admin: User, web_device: Device, signer: str
) -> None:
    task = planned(admin, "cancel_running", web_device)
    old = task.executions.get()
    execution = open_next(task)
    assert execution.status == "running"
    old_run = old.runs.get()
    assert (old_run.status, old_run.cancel_requested_at is not None) == ("running", True)
    rollout.advance(execution.pk)
    session = factories.session_of(web_device)
    assert factories.ledger.claim([session]) == []
    factories.ledger.results([factories.result_of(old_run, "cancelled", exit_code=None)])
    assert [grant.run for grant in factories.ledger.claim([session])] == [execution.runs.get().pk]


def test_queue_one_keeps_one_and_skips_what_comes_meanwhile(
    admin: User, web_device: Device
) -> None:
    task = planned(admin, "queue_one", web_device)
    queued, second = open_next(task), open_next(task)
    assert (queued.status, queued.runs.count(), second.status) == ("pending", 0, "skipped")


def test_the_queued_one_starts_when_the_way_is_free_with_targets_as_they_are_then(
    admin: User, web_device: Device
) -> None:
    group = factories.group(devices=[web_device])
    task = factories.task(admin, overlap_policy="queue_one", groups=[group])
    ahead = factories.execution(task)
    factories.run(ahead, web_device, status="running")
    queued = open_next(task)
    assert opening.release_queued(task.pk) is None
    group.devices.add(factories.device("late"))
    finish(ahead)
    queued.refresh_from_db()
    assert queued.status == "running"
    assert set(queued.runs.values_list("device_name", flat=True)) == {"web-1", "late"}
    task.refresh_from_db()
    assert (task.execution_count, task.last_run_time) == (1, queued.started_at)


def test_a_queued_one_whose_targets_are_gone_is_skipped_and_says_so(
    admin: User, web_device: Device
) -> None:
    task = planned(admin, "queue_one", web_device)
    ahead = task.executions.get()
    queued = open_next(task)
    ScheduledTask.objects.filter(pk=task.pk).update(device_ids=[])
    finish(ahead)
    queued.refresh_from_db()
    assert queued.status == "skipped"
    assert "No device is targeted" in queued.error_message


def test_a_queued_one_can_be_cancelled(admin: User, web_device: Device) -> None:
    task = planned(admin, "queue_one", web_device)
    queued = open_next(task)
    executions.cancel(queued, admin)
    queued.refresh_from_db()
    assert queued.status == "cancelled"
    finish(task.executions.get(status="running"))
    assert task.executions.filter(status="running").count() == 0


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_a_queued_one_that_never_ran_uses_up_no_run(
    admin: User, web_device: Device, end: str
) -> None:
    task = factories.task(admin, overlap_policy="queue_one", devices=[web_device], max_runs=1)
    factories.run(factories.execution(task), web_device, status="running")
    queued = open_next(task)
    if end == "pause":
        schedules.resume(schedules.pause(task, admin), admin)
    else:
        executions.cancel(queued, admin)
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert (task.scheduled_run_count, task.next_run_time > timezone.now()) == (0, True)


def test_one_that_comes_out_of_the_queue_is_one_of_its_runs(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, overlap_policy="queue_one", devices=[web_device], max_runs=1)
    ahead = factories.execution(task)
    factories.run(ahead, web_device, status="running")
    queued = open_next(task)
    finish(ahead)
    queued.refresh_from_db()
    task.refresh_from_db()
    assert (queued.status, task.scheduled_run_count, task.next_run_time) == ("running", 1, None)


@pytest.mark.parametrize("policy", ["skip", "queue_one", "cancel_running"])
def test_runs_that_only_wait_for_an_offline_device_are_in_nobodys_way(
    admin: User, web_device: Device, policy: str
) -> None:
    task = factories.task(admin, overlap_policy=policy, devices=[web_device])
    old = factories.execution(task)
    waiting = factories.run(old, web_device, status="queued")
    factories.go_offline(web_device)
    execution = open_next(task)
    assert execution.status == "running"
    waiting.refresh_from_db()
    assert waiting.status == "skipped"
    assert waiting.error_message == f"Superseded by execution {execution.pk}."
    rollout.advance(old.pk)
    old.refresh_from_db()
    assert (old.status, old.error_message) == ("skipped", waiting.error_message)


def test_where_both_may_run_nothing_is_superseded(admin: User, web_device: Device) -> None:
    task = factories.task(admin, overlap_policy="allow", devices=[web_device])
    waiting = factories.run(factories.execution(task), web_device, status="queued")
    factories.go_offline(web_device)
    open_next(task)
    assert DeviceRun.objects.get(pk=waiting.pk).status == "queued"


def test_what_waits_for_a_device_that_is_there_is_not_superseded(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device])
    waiting = factories.run(factories.execution(task), web_device, status="queued")
    schedules.execute(task, admin)
    assert DeviceRun.objects.get(pk=waiting.pk).status == "queued"


def test_a_started_run_counts_until_its_deadline_even_offline(
    admin: User, web_device: Device
) -> None:
    task = planned(admin, "skip", web_device)
    factories.go_offline(web_device)
    assert open_next(task).status == "skipped"
    DeviceRun.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert open_next(task).status == "running"
