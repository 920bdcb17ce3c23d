"""Many due occurrences opened together come to the same as each of them opened alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, transaction
from django_celery_beat.models import PeriodicTasks
from psycopg import errors
from pytest_django import DjangoAssertNumQueries

from devices.models import DeviceGroup
from scheduling import bursts, due, opening, tasks
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db

TASK_FIELDS = (
    "status", "next_scheduled_for", "next_run_time", "announced_for", "last_execution_status",
    "execution_count", "scheduled_run_count",
    "periodic_task__enabled", "periodic_task__last_run_at", "periodic_task__clocked__clocked_time",
)  # fmt: skip
EXECUTION_FIELDS = (
    "status", "trigger", "opened_by", "scheduled_for", "due_at", "error_message", "result",
    "definition", "payload_sha256", "user", "owner", "open_wave",
)  # fmt: skip
RUN_FIELDS = ("device", "status", "wave", "is_exclusive", "timeout_seconds", "has_slot")
Shape = Callable[[User, DeviceGroup], dict[str, Any]]

SHAPES: dict[str, Shape] = {
    "daily": lambda user, group: {"groups": [group]},
    "interval": lambda user, group: {
        "groups": [group],
        "recurrence_type": "interval",
        "recurrence_config": {"every": 10, "unit": "minutes"},
    },
    "bounded": lambda user, group: {"groups": [group], "max_runs": 1},
    "armed": lambda user, group: {"groups": [group], "jitter_seconds": 60},
    "named device away": lambda user, group: {"devices": [factories.device(online=False)]},
    "named and in the group": lambda user, group: {
        "groups": [group],
        "devices": [*group.devices.all(), factories.device()],
    },
    "waves": lambda user, group: {
        "devices": [factories.device() for _number in range(3)],
        "rollout": {"strategy": "rolling", "batch_size": 2},
    },
    "nobody": lambda user, group: {"groups": [factories.group()]},
}


def facts(task: ScheduledTask) -> tuple[Any, ...]:
    """All that an opened occurrence left behind, in words that do not name the rows."""
    mine = ScheduledTask.objects.filter(pk=task.pk).values_list(*TASK_FIELDS)
    executions = Execution.objects.filter(task=task).values_list(*EXECUTION_FIELDS)
    runs = DeviceRun.objects.filter(task_id=task.pk).values_list(*RUN_FIELDS)
    return list(mine), list(executions), sorted(runs, key=str)


def due_task(user: User, **fields: Any) -> ScheduledTask:
    task = factories.task(user, **fields)
    factories.make_due(task)
    return task


def alone(task: ScheduledTask) -> tuple[Any, ...]:
    """What opening the task by itself comes to; the database is then as it was."""
    with transaction.atomic():
        opening.open_due(task.pk, None, "beat")
        found = facts(task)
        transaction.set_rollback(True)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_it_comes_to_the_same_as_alone(admin: User, web_group: DeviceGroup, shape: str) -> None:
    fields = SHAPES[shape](admin, web_group)
    mine = [due_task(admin, **fields) for _number in range(3)]
    expected = [alone(task) for task in mine]
    with mock.patch.object(opening, "open_due", side_effect=AssertionError("one by one")):
        assert due.open_many({task.pk: None for task in mine}, "beat") == 3
    assert [facts(task) for task in mine] == expected


def test_a_person_who_may_use_none_of_the_devices_opens_none(
    operator: User, outsider: User, web_group: DeviceGroup
) -> None:
    theirs, not_theirs = (due_task(operator, groups=[web_group]) for _number in range(2))
    ScheduledTask.objects.filter(pk=not_theirs.pk).update(user=outsider)
    due.open_many({theirs.pk: None, not_theirs.pk: None}, "beat")
    assert theirs.executions.get().status == "running"
    execution = not_theirs.executions.get()
    assert (execution.status, "may use none" in execution.error_message) == ("skipped", True)


def test_what_is_not_plain_opens_as_it_does_alone(admin: User, web_group: DeviceGroup) -> None:
    plain, overlapping, missed = (due_task(admin, groups=[web_group]) for _number in range(3))
    factories.run(factories.execution(overlapping), web_group.devices.get())
    factories.fall_behind(missed, 1, ago=timedelta(minutes=8))
    ScheduledTask.objects.filter(pk=missed.pk).update(misfire_policy="skip")
    due.open_many({task.pk: None for task in (plain, overlapping, missed)}, "beat")
    assert plain.executions.get().status == "running"
    assert sorted(overlapping.executions.values_list("status", flat=True)) == ["running", "skipped"]
    assert [one.status for one in missed.executions.all()] == ["missed"]


def test_a_message_that_names_another_occurrence_opens_nothing(
    admin: User, web_group: DeviceGroup
) -> None:
    task = due_task(admin, groups=[web_group])
    assert task.next_scheduled_for is not None
    stale = (task.next_scheduled_for - timedelta(days=1)).isoformat()
    tasks.open_due([(str(task.pk), stale)], "beat")
    assert not task.executions.exists()
    tasks.open_due([(str(task.pk), task.next_scheduled_for.isoformat())], "beat")
    tasks.open_due([(str(task.pk), task.next_scheduled_for.isoformat())], "beat")
    assert task.executions.count() == 1


def test_a_broken_rule_keeps_none_of_the_others_back(admin: User, web_group: DeviceGroup) -> None:
    broken, sound = (due_task(admin, groups=[web_group]) for _number in range(2))
    ScheduledTask.objects.filter(pk=broken.pk).update(recurrence_config={"time": "nonsense"})
    assert due.open_many({broken.pk: None, sound.pk: None}, "beat") == 1
    assert sound.executions.count() == 1


def deadlock() -> Exception:
    error = OperationalError("deadlock")
    error.__cause__ = errors.DeadlockDetected()
    return error


@pytest.mark.parametrize("error", [IntegrityError("opened in between"), deadlock()])
def test_one_that_collides_keeps_none_of_the_others_back(
    admin: User, web_group: DeviceGroup, error: Exception
) -> None:
    mine = [due_task(admin, groups=[web_group]) for _number in range(3)]
    with mock.patch.object(bursts, "_store", side_effect=error):
        assert due.open_many({task.pk: None for task in mine}, "beat") == 3
    assert Execution.objects.count() == 3


def test_a_burst_takes_few_queries(
    admin: User, web_group: DeviceGroup, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    mine: dict[UUID, None] = {due_task(admin, groups=[web_group]).pk: None for _number in range(25)}
    with django_assert_max_num_queries(20):
        assert due.open_many(mine, "beat") == 25


def test_a_messages_duplicates_cost_two_queries(
    admin: User, web_group: DeviceGroup, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    mine = {}
    for _number in range(25):
        task = due_task(admin, groups=[web_group])
        mine[task.pk] = task.next_scheduled_for
    due.open_many(mine, "beat")
    with django_assert_max_num_queries(8):
        assert due.open_many(mine, "beat") == 0


@pytest.mark.parametrize(("opened_by", "is_told"), [("beat", False), ("stock", True)])
def test_stock_schedulers_are_told_of_what_they_opened(
    admin: User, web_group: DeviceGroup, after_commit: Any, opened_by: str, is_told: bool
) -> None:
    task = factories.task(admin, groups=[web_group])
    factories.fall_behind(task, 1, ago=timedelta(seconds=5))
    before = PeriodicTasks.last_change()
    with after_commit():
        due.open_many({task.pk: None}, opened_by)
    assert (PeriodicTasks.last_change() != before) is is_told


def test_stock_schedulers_do_not_read_everything_anew_for_what_runs_no_more(
    admin: User, web_group: DeviceGroup, after_commit: Any
) -> None:
    task = due_task(admin, groups=[web_group], max_runs=1)
    before = PeriodicTasks.last_change()
    with after_commit():
        due.open_many({task.pk: None}, "stock")
    task.refresh_from_db()
    assert task.periodic_task is not None
    assert (task.next_run_time, task.periodic_task.enabled) == (None, False)
    assert PeriodicTasks.last_change() == before
