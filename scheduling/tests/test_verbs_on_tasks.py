"""Create, edit, pause, resume, execute and delete, as api.md words them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts.errors import InvalidInput, NotAllowed, StateConflict
from devices.models import Device, DeviceGroup
from scheduling import opening, schedules
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories


def test_a_new_task_has_a_plan_and_a_periodic_task(task: ScheduledTask, operator: User) -> None:
    assert task.user == operator
    assert task.status == "pending"
    assert task.next_run_time is not None
    assert (task.next_run_time.hour, task.next_run_time.minute) == (2, 0)
    assert task.periodic_task is not None


# what changes, and whether that makes a new plan
EDITS: list[tuple[dict[str, Any], bool]] = [
    ({"recurrence_config": {"time": "03:00"}}, True),
    ({"time_zone": "Asia/Tokyo"}, True),
    ({"recurrence_type": "interval", "recurrence_config": {"every": 1, "unit": "hours"}}, True),
    ({"start_at": "2098-01-01T00:00:00Z"}, True),
    ({"end_at": "2098-01-01T00:00:00Z"}, True),
    ({"excluded_dates": ["2098-01-01"]}, True),
    ({"jitter_seconds": 60}, True),
    ({"max_runs": 5}, True),
    ({"recurrence_config": {"time": "02:00"}}, False),
    ({"name": "Another"}, False),
    ({"task_payload": {"command": "uptime"}}, False),
    ({"overlap_policy": "allow"}, False),
    ({"misfire_grace_seconds": 10}, False),
    ({"timeout_seconds": 10}, False),
    ({"rollout": {"strategy": "rolling"}}, False),
]


@pytest.mark.parametrize(("change", "replans"), EDITS, ids=str)
def test_only_an_edit_of_rule_zone_or_bounds_plans_anew(
    task: ScheduledTask, operator: User, change: dict[str, Any], replans: bool
) -> None:
    due = factories.make_due(task)  # an occurrence nobody has opened yet
    task = schedules.update(task, operator, change, partial=True)
    assert task.next_run_time is not None
    assert (task.next_run_time == due) is not replans
    if replans:
        assert task.next_run_time > timezone.now()


def test_an_edit_of_a_paused_task_makes_no_plan(task: ScheduledTask, operator: User) -> None:
    schedules.pause(task, operator)
    task = schedules.update(task, operator, {"recurrence_config": {"time": "03:00"}}, partial=True)
    assert (task.next_run_time, task.status) == (None, "paused")
    assert schedules.resume(task, operator).next_run_time is not None


def test_a_whole_rewrite_resets_what_is_left_out(
    task: ScheduledTask, operator: User, web_group: DeviceGroup
) -> None:
    schedules.update(task, operator, {"tags": ["a"], "max_runs": 3}, partial=True)
    given = factories.definition(groups=[web_group], name="Rewritten")
    task = schedules.update(task, operator, given, partial=False)
    assert (task.name, task.tags, task.max_runs) == ("Rewritten", [], None)


def test_a_refused_edit_changes_nothing(task: ScheduledTask, operator: User) -> None:
    with pytest.raises(InvalidInput):
        schedules.update(task, operator, {"name": "New", "timeout_seconds": 0}, partial=True)
    task.refresh_from_db()
    assert task.name == "Disk space"


def test_raising_max_runs_brings_a_used_up_task_back(
    operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group], max_runs=1)
    factories.make_due(task)
    opening.open_due(task.pk, None, "beat")
    task = schedules.update(task, operator, {"max_runs": 2}, partial=True)
    assert task.next_run_time is not None


def test_pausing_drops_the_plan_and_what_is_queued(task: ScheduledTask, operator: User) -> None:
    queued = factories.execution(task, status="pending")
    running = factories.execution(task)
    factories.run(running, status="running")
    task = schedules.pause(task, operator)
    assert (task.status, task.next_run_time, task.next_scheduled_for) == ("paused", None, None)
    queued.refresh_from_db()
    running.refresh_from_db()
    assert (queued.status, queued.error_message) == ("skipped", "The task was paused.")
    assert (running.status, running.cancel_requested_at) == ("running", None)


def test_pausing_twice_or_with_nothing_to_come_is_a_conflict(
    task: ScheduledTask, operator: User, web_group: DeviceGroup
) -> None:
    schedules.pause(task, operator)
    with pytest.raises(StateConflict) as conflict:
        schedules.pause(task, operator)
    assert conflict.value.status == "paused"
    done = factories.by_hand(operator, groups=[web_group])
    with pytest.raises(StateConflict) as conflict:
        schedules.pause(done, operator)
    assert conflict.value.status == "completed"


def test_resuming_what_is_not_paused_is_a_conflict(task: ScheduledTask, operator: User) -> None:
    with pytest.raises(StateConflict):
        schedules.resume(task, operator)


def test_resuming_plans_from_now(task: ScheduledTask, operator: User) -> None:
    factories.fall_behind(task, 5, ago=timedelta(minutes=1))
    schedules.pause(task, operator)
    task = schedules.resume(task, operator)
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()
    assert not task.executions.exists()


@pytest.mark.parametrize("verb", ["execute", "resume", "update"])
def test_who_lost_the_right_on_a_target_may_not(
    task: ScheduledTask, operator: User, web_group: DeviceGroup, verb: str
) -> None:
    schedules.pause(task, operator)
    web_group.people.clear()
    act = {
        "execute": lambda: schedules.execute(task, operator),
        "resume": lambda: schedules.resume(task, operator),
        "update": lambda: schedules.update(task, operator, {"name": "New"}, partial=True),
    }[verb]
    with pytest.raises(NotAllowed):
        act()
    task.refresh_from_db()
    assert (task.is_paused, task.name, Execution.objects.count()) == (True, "Disk space", 0)


def test_a_revoked_device_keeps_nobody_from_their_task(
    operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    task = factories.task(operator, devices=[web_device], groups=[web_group])
    Device.objects.filter(pk=web_device.pk).update(revoked_at=timezone.now())
    web_group.devices.clear()
    task = schedules.update(task, operator, {"name": "New"}, partial=True)
    assert (task.name, task.device_ids) == ("New", [str(web_device.pk)])
    schedules.require_rights(task, operator)


def test_deleting_cancels_what_is_under_way_and_keeps_the_history(
    task: ScheduledTask, operator: User, web_device: Device
) -> None:
    old = factories.execution(task, status="success")
    queued = factories.execution(task, status="pending")
    running = factories.execution(task)
    waiting = factories.run(running, status="queued")
    started = factories.run(running, web_device, status="running")
    mirrored = task.periodic_task
    schedules.delete(task, operator)
    for row in (old, queued, running, waiting, started):
        row.refresh_from_db()
    assert (old.task, old.task_name, old.status) == (None, "Disk space", "success")
    assert (queued.status, running.status) == ("cancelled", "running")
    assert (waiting.status, started.status) == ("cancelled", "running")
    assert started.cancel_requested_at is not None
    assert mirrored is not None
    assert not PeriodicTask.objects.filter(pk=mirrored.pk).exists()
    for row in (old, queued, running):
        assert Execution.objects.visible_to(operator).filter(pk=row.pk).exists()
    assert DeviceRun.objects.visible_to(operator).count() == 2


def test_forgetting_a_target_takes_it_off_every_list(
    operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    tasks = [
        factories.task(operator, devices=[web_device]),
        factories.task(operator, devices=[web_device], groups=[web_group]),
    ]
    schedules.forget_device(web_device.pk)
    schedules.forget_group(web_group.pk)
    for task in tasks:
        task.refresh_from_db()
        assert (task.device_ids, task.group_ids) == ([], [])


def test_stats_add_up_and_name_what_is_soon(operator: User, web_group: DeviceGroup) -> None:
    tasks = [factories.task(operator, groups=[web_group], name=str(number)) for number in range(7)]
    schedules.pause(tasks[0], operator)
    factories.by_hand(operator, groups=[web_group])
    factories.run(schedules.execute(tasks[1], operator))
    factories.task(
        operator,
        groups=[web_group],
        name="far",
        recurrence_type="once",
        recurrence_config={"run_at": "2099-01-01T00:00"},
    )
    numbers = schedules.stats(operator)
    by_status = {name: numbers[name] for name in ScheduledTask.Status.values}
    assert by_status == {"pending": 6, "running": 1, "paused": 1, "completed": 1, "failed": 0}
    assert numbers["total"] == sum(by_status.values())
    assert len(numbers["upcoming"]) == 5
    assert "far" not in [one["name"] for one in numbers["upcoming"]]


def test_a_preview_tells_the_next_runs_and_every_wrong_field() -> None:
    now = factories.moment("2026-01-01T00:00")
    given = {"recurrence_type": "daily", "recurrence_config": {"time": "02:00"}, "count": 2}
    preview = schedules.preview(given, now=now)
    assert [run.at for run in preview.runs] == [
        factories.moment("2026-01-01T02:00"),
        factories.moment("2026-01-02T02:00"),
    ]
    after = {**given, "after": "2026-01-01T02:00:00Z", "count": 1}
    (run,) = schedules.preview(after, now=now).runs
    assert run.at == factories.moment("2026-01-02T02:00")
    wrong = {"recurrence_type": "never", "count": 0, "after": "soon", "colour": 1}
    with pytest.raises(InvalidInput) as refusal:
        schedules.preview(wrong, now=now)
    assert refusal.value.errors.keys() >= {
        "recurrence_type", "recurrence_config", "count", "after", "colour",
    }  # fmt: skip
