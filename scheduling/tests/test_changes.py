"""Who changed what of a task, whichever door they came through."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from accounts.errors import StateConflict
from devices import fleet
from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask, TaskChange
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def edit(task: ScheduledTask, user: User, **given: Any) -> dict[str, Any]:
    """What the edit is kept as, by field."""
    schedules.update(task, user, given, partial=True)
    latest = task.changes.first()
    assert latest is not None
    assert (latest.verb, latest.user) == ("edited", user)
    return {one.pop("field"): one for one in latest.fields}


def test_a_new_task_begins_its_history(operator: User, task: ScheduledTask) -> None:
    change = TaskChange.objects.get()
    assert (change.task, change.user, change.verb, change.fields) == (task, operator, "created", [])


def test_an_edit_says_what_each_field_was_and_is(admin: User, task: ScheduledTask) -> None:
    assert edit(task, admin, name="Backups", timeout_seconds=60) == {
        "name": {"old": "Disk space", "new": "Backups"},
        "timeout_seconds": {"old": 3600, "new": 60},
    }


def test_an_option_inside_another_has_a_path(operator: User, task: ScheduledTask) -> None:
    kept = edit(task, operator, rollout={"strategy": "rolling"})
    assert kept == {"rollout.strategy": {"old": "parallel", "new": "rolling"}}


def test_the_schedule_is_one_field(operator: User, task: ScheduledTask) -> None:
    kept = edit(task, operator, recurrence_config={"time": "03:00"})
    assert kept["schedule"]["old"]["recurrence_config"]["time"] == "02:00"
    assert kept["schedule"]["new"]["recurrence_config"]["time"] == "03:00"


def test_of_targets_it_says_who_came_and_who_went(
    admin: User, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    one = factories.device()
    kept = edit(task, admin, device_ids=[str(one.pk)], group_ids=[])
    assert kept["device_ids"]["added"] == {"count": 1, "some": [str(one.pk)]}
    assert kept["group_ids"]["removed"] == {"count": 1, "some": [str(web_group.pk)]}


def test_of_very_many_targets_it_keeps_some(admin: User, task: ScheduledTask) -> None:
    ids = [str(factories.device().pk) for _number in range(25)]
    added = edit(task, admin, device_ids=ids)["device_ids"]["added"]
    assert (added["count"], len(added["some"])) == (25, 20)


def test_values_of_the_environment_are_never_kept(operator: User, task: ScheduledTask) -> None:
    for value in ("hunter2", "hunter3"):
        payload = {"command": "echo hello", "environment": {"PASSWORD": value}}
        schedules.update(task, operator, {"task_payload": payload}, partial=True)
    first, second = TaskChange.objects.filter(verb="edited").order_by("pk")
    path = "task_payload.environment.PASSWORD"
    assert first.fields == [{"field": path, "old": None, "new": "•••"}]
    assert second.fields == [{"field": path, "old": "•••", "new": "•••"}]


def test_a_payload_is_kept_as_the_form_has_it(operator: User, task: ScheduledTask) -> None:
    kept = edit(task, operator, task_payload={"commands": ["df -h"]})
    assert kept["task_payload.commands"]["added"] == {"count": 1, "some": ["df -h"]}
    assert kept["task_payload.commands"]["removed"] == {"count": 1, "some": ["echo hello"]}


def test_what_is_written_back_unchanged_is_no_change(operator: User, task: ScheduledTask) -> None:
    schedules.update(task, operator, {"name": task.name}, partial=True)
    assert not TaskChange.objects.filter(verb="edited").exists()


def test_pauses_are_kept_and_refusals_are_not(operator: User, task: ScheduledTask) -> None:
    schedules.pause(task, operator)
    with pytest.raises(StateConflict):
        schedules.pause(task, operator)
    schedules.resume(task, operator)
    assert [one.verb for one in task.changes.all()] == ["resumed", "paused", "created"]


def test_a_deleted_device_is_a_change_by_nobody(admin: User, web_device: Device) -> None:
    task = factories.task(admin, devices=[web_device, factories.device()])
    fleet.delete(web_device, admin)
    latest = task.changes.first()
    assert latest is not None
    assert latest.user is None
    assert latest.fields[0]["removed"]["some"] == [str(web_device.pk)]


def test_a_run_at_once_has_no_history_of_changes(operator: User, web_group: DeviceGroup) -> None:
    schedules.execute_now(operator, _without_recurrence(web_group))
    assert not TaskChange.objects.exists()


def test_a_handed_over_task_names_both_owners(
    admin: User, operator: User, task: ScheduledTask
) -> None:
    assert edit(task, admin, user_id=admin.pk)["user_id"] == {"old": "operator", "new": "admin"}


def _without_recurrence(group: DeviceGroup) -> dict[str, Any]:
    given = factories.definition(groups=[group])
    return {name: given[name] for name in given if not name.startswith("recurrence")}
