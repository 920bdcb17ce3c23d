from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput
from devices.agent.protocol import MAX_PAYLOAD_BYTES
from devices.models import Device, DeviceGroup
from scheduling import due, opening, schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.test_claiming import at_once


def test_a_due_occurrence_opens_and_the_plan_moves_on(
    task: ScheduledTask, web_device: Device
) -> None:
    moment = factories.make_due(task)
    execution = opening.open_due(task.pk, moment, "beat")
    assert execution is not None
    assert (execution.status, execution.trigger, execution.opened_by) == (
        "running",
        "schedule",
        "beat",
    )
    assert (execution.scheduled_for, execution.due_at) == (moment, moment)
    assert (execution.user, execution.owner) == (task.user, task.user)
    assert [run.device for run in execution.runs.all()] == [web_device]
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()
    assert (task.status, task.execution_count, task.scheduled_run_count) == ("running", 1, 1)
    assert (task.last_run_time, task.last_execution_status) == (execution.started_at, "running")


def test_a_message_that_comes_twice_opens_once(task: ScheduledTask) -> None:
    moment = factories.make_due(task)
    assert opening.open_due(task.pk, moment, "beat") is not None
    assert opening.open_due(task.pk, moment, "beat") is None
    assert due.open_all(task.pk, moment, "stock") == 0
    assert Execution.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_workers_that_open_at_the_same_moment_open_once(sent: list[Any]) -> None:
    admin = factories.person(is_administrator=True)
    task = factories.task(admin)
    moment = factories.make_due(task)
    answers = at_once(4, lambda: opening.open_due(task.pk, moment, "beat"))
    assert sum(one is not None for one in answers) == 1
    assert Execution.objects.count() == 1


def test_no_named_occurrence_means_the_next(task: ScheduledTask) -> None:
    moment = factories.make_due(task)
    execution = opening.open_due(task.pk, None, "stock")
    assert execution is not None
    assert (execution.scheduled_for, execution.opened_by) == (moment, "stock")


def test_what_is_not_due_does_not_open_whoever_asks(task: ScheduledTask) -> None:
    assert opening.open_due(task.pk, task.next_scheduled_for, "beat") is None
    assert opening.open_due(task.pk, None, "stock") is None
    assert not Execution.objects.exists()


def test_an_occurrence_other_than_the_planned_one_does_not_open(task: ScheduledTask) -> None:
    moment = factories.make_due(task)
    assert opening.open_due(task.pk, moment - timedelta(days=1), "beat") is None


def test_a_paused_or_deleted_task_opens_nothing(task: ScheduledTask, operator: User) -> None:
    moment = factories.make_due(task)
    schedules.pause(task, operator)
    assert opening.open_due(task.pk, moment, "beat") is None
    schedules.delete(task, operator)
    assert opening.open_due(task.pk, moment, "beat") is None


def test_an_occurrence_that_a_clock_set_back_names_again_is_stepped_over(
    task: ScheduledTask,
) -> None:
    moment = factories.make_due(task)
    opening.open_due(task.pk, moment, "beat")
    factories.make_due(task)
    ScheduledTask.objects.filter(pk=task.pk).update(next_scheduled_for=moment)
    assert opening.open_due(task.pk, moment, "beat") is None
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()
    assert Execution.objects.count() == 1


def test_the_last_of_its_runs_ends_the_plan(operator: User, web_group: DeviceGroup) -> None:
    task = factories.task(operator, groups=[web_group], max_runs=1)
    factories.make_due(task)
    opening.open_due(task.pk, None, "beat")
    task.refresh_from_db()
    assert (task.next_run_time, task.status) == (None, "running")


def test_a_task_for_once_has_nothing_left_after_it(operator: User, web_group: DeviceGroup) -> None:
    task = factories.task(
        operator,
        groups=[web_group],
        recurrence_type="once",
        recurrence_config={"run_at": "2099-01-01T00:00"},
    )
    moment = factories.make_due(task)
    config = {"run_at": moment.isoformat()}
    ScheduledTask.objects.filter(pk=task.pk).update(recurrence_config=config)
    opening.open_due(task.pk, moment, "beat")
    task.refresh_from_db()
    assert (task.next_run_time, task.next_scheduled_for) == (None, None)


def test_a_device_reached_twice_runs_once(operator: User, web_group: DeviceGroup) -> None:
    device = web_group.devices.get()
    second = factories.group(devices=[device], people=[operator])
    task = factories.by_hand(operator, devices=[device], groups=[web_group, second])
    assert schedules.execute(task, operator).runs.count() == 1


def test_groups_are_resolved_when_an_execution_opens(
    operator: User, web_group: DeviceGroup
) -> None:
    task = factories.by_hand(operator, groups=[web_group])
    late = factories.device("late")
    web_group.devices.add(late)
    assert schedules.execute(task, operator).runs.filter(device=late).exists()


def test_a_revoked_device_is_left_out(operator: User, web_group: DeviceGroup) -> None:
    web_group.devices.add(factories.device("gone", revoked_at=timezone.now()))
    task = factories.by_hand(operator, groups=[web_group])
    runs = schedules.execute(task, operator).runs.all()
    assert [run.device_name for run in runs] == ["web-1"]


def skipped(task: ScheduledTask) -> str:
    """Opens what is due; why it was skipped."""
    factories.make_due(task)
    execution = opening.open_due(task.pk, None, "beat")
    assert execution is not None
    assert (execution.status, execution.runs.count()) == ("skipped", 0)
    assert execution.result["devices_targeted"] == 0
    task.refresh_from_db()
    assert (task.execution_count, task.scheduled_run_count) == (0, 0)
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()
    return execution.error_message


def test_with_nobody_there_it_is_skipped_and_says_so(
    task: ScheduledTask, web_group: DeviceGroup
) -> None:
    web_group.devices.clear()
    assert "No device is targeted" in skipped(task)


def test_of_a_deactivated_owner_nothing_runs(task: ScheduledTask, operator: User) -> None:
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert skipped(task) == "The account operator is deactivated."


def test_of_an_owner_without_the_right_nothing_runs(
    task: ScheduledTask, web_group: DeviceGroup
) -> None:
    web_group.people.clear()
    assert "may use none of the targeted devices" in skipped(task)


def test_an_execution_keeps_the_definition_as_it_was(task: ScheduledTask, operator: User) -> None:
    execution = schedules.execute(task, operator)
    schedules.update(
        task, operator, {"task_payload": {"command": "reboot"}, "name": "New"}, partial=True
    )
    execution.refresh_from_db()
    assert execution.task_name == "Disk space"
    assert execution.definition["task_payload"]["command"] == "echo hello"
    assert b"echo hello" in bytes(execution.payload or b"")


def test_a_payload_too_large_for_a_frame_is_refused_at_save(
    operator: User, web_group: DeviceGroup
) -> None:
    payload = {"command": "x" * MAX_PAYLOAD_BYTES}
    with pytest.raises(InvalidInput) as refusal:
        factories.task(operator, groups=[web_group], task_payload=payload)
    assert list(refusal.value.errors) == ["task_payload"]


def test_one_that_grew_behind_our_back_fails_when_it_opens(
    task: ScheduledTask, operator: User
) -> None:
    payload = {**task.task_payload, "command": "x" * MAX_PAYLOAD_BYTES}
    ScheduledTask.objects.filter(pk=task.pk).update(task_payload=payload)
    execution = schedules.execute(task, operator)
    assert (execution.status, execution.started_at) == ("failed", None)
    assert "The payload has over" in execution.error_message
    assert execution.result["devices_targeted"] == 0
    task.refresh_from_db()
    assert (task.status, task.execution_count) == ("failed", 0)


def test_by_hand_it_opens_whatever_plan_and_pause_say(task: ScheduledTask, operator: User) -> None:
    before = task.next_run_time
    execution = schedules.execute(task, operator)
    assert (execution.trigger, execution.scheduled_for) == ("manual", None)
    task.refresh_from_db()
    assert (task.next_run_time, task.scheduled_run_count) == (before, 0)
    schedules.pause(task, operator)
    second = schedules.execute(task, operator)
    assert second.status == "running"  # nor does it heed the one under way
    task.refresh_from_db()
    assert (task.status, task.next_run_time) == ("paused", None)


def test_whoever_executes_is_the_executions_user(task: ScheduledTask, admin: User) -> None:
    execution = schedules.execute(task, admin)
    assert (execution.user, execution.owner) == (admin, task.user)


def test_now_and_never_again_is_an_ad_hoc_task(operator: User, web_group: DeviceGroup) -> None:
    given = factories.definition(groups=[web_group])
    execution = schedules.execute_now(operator, given)
    task = execution.task
    assert task is not None
    assert (task.ad_hoc, task.next_run_time, execution.status) == (True, None, "running")
    assert schedules.stats(operator)["total"] == 0
    assert schedules.stats(operator, ad_hoc=True)["total"] == 1


def test_everything_due_is_opened_the_longest_overdue_first(admin: User) -> None:
    tasks = [factories.task(admin, name=str(number)) for number in range(3)]
    for number, task in enumerate(tasks):
        factories.make_due(task, ago=timedelta(seconds=10 * (number + 1)))
    assert due.Overdue()("reconcile", limit=2) == 2
    opened = Execution.objects.values_list("task_name", flat=True)
    assert sorted(opened) == ["1", "2"]
    assert Execution.objects.filter(opened_by="reconcile").count() == 2


def test_a_task_whose_rule_is_broken_does_not_stop_the_others(admin: User) -> None:
    broken, sound = factories.task(admin), factories.task(admin)
    factories.make_due(broken, ago=timedelta(minutes=1))
    ScheduledTask.objects.filter(pk=broken.pk).update(recurrence_config={"time": "nonsense"})
    factories.make_due(sound)
    assert due.open_everything("reconcile") == 1
    assert Execution.objects.get().task == sound
