from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from scheduling import due, schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories


@dataclass(frozen=True)
class Case:
    """So many due occurrences, the latest so many seconds ago (the grace is 300): how many run, and
    how many are written off in one row."""

    policy: str
    occurrences: int
    age: int
    run: int
    written_off: int


TABLE = [
    Case("skip", 1, 60, run=1, written_off=0),
    Case("run_latest", 1, 60, run=1, written_off=0),
    Case("run_all", 1, 60, run=1, written_off=0),
    Case("skip", 1, 400, run=0, written_off=1),
    Case("run_latest", 1, 400, run=1, written_off=0),
    Case("run_all", 1, 400, run=1, written_off=0),
    Case("skip", 5, 400, run=0, written_off=5),
    Case("run_latest", 5, 400, run=1, written_off=4),
    Case("run_all", 5, 400, run=5, written_off=0),
    Case("skip", 5, 60, run=1, written_off=4),
    Case("run_latest", 5, 60, run=1, written_off=4),
    Case("run_all", 5, 60, run=5, written_off=0),
]


def behind(admin: User, case: Case) -> ScheduledTask:
    task = factories.task(admin, misfire_policy=case.policy, overlap_policy="allow")
    factories.fall_behind(task, case.occurrences, ago=timedelta(seconds=case.age))
    return task


def open_until_done(task: ScheduledTask) -> None:
    while due.open_all(task.pk, None, "reconcile"):
        pass


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_what_was_missed_runs_or_is_written_off_as_the_policy_says(admin: User, case: Case) -> None:
    task = behind(admin, case)
    open_until_done(task)
    executions = task.executions.order_by("scheduled_for")
    assert executions.exclude(status="missed").count() == case.run
    missed = executions.filter(status="missed")
    assert missed.count() == bool(case.written_off)
    for row in missed:
        assert row.error_message.startswith(f"{case.written_off} run")
        assert (row.runs.count(), row.result["devices_targeted"]) == (0, 0)
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert task.next_run_time > timezone.now()


def test_it_is_the_latest_that_runs(admin: User) -> None:
    task = factories.task(admin)
    moments = factories.fall_behind(task, 4, ago=timedelta(seconds=400))
    open_until_done(task)
    written_off, run = task.executions.order_by("scheduled_for")
    assert (written_off.status, written_off.scheduled_for) == ("missed", moments[2])
    assert (run.status, run.scheduled_for) == ("running", moments[3])


def test_the_latest_hundred_run(admin: User) -> None:
    task = behind(admin, Case("run_all", 103, 400, 100, 3))
    open_until_done(task)
    ran = task.executions.filter(status="running").order_by("scheduled_for")
    first = ran.first()
    (written_off,) = task.executions.filter(status="missed")
    assert (ran.count(), written_off.error_message[:6]) == (100, "3 runs")
    assert first is not None
    assert first.scheduled_for is not None
    assert written_off.scheduled_for == first.scheduled_for - timedelta(minutes=10)


def test_a_longer_grace_lets_run_late(admin: User) -> None:
    task = factories.task(admin, misfire_policy="skip", misfire_grace_seconds=1_000)
    factories.fall_behind(task, 1, ago=timedelta(seconds=900), every=timedelta(hours=1))
    open_until_done(task)
    assert task.executions.get().status == "running"


def test_a_missed_row_makes_the_task_failed_until_something_ends_well(admin: User) -> None:
    task = behind(admin, Case("skip", 1, 400, 0, 1))
    open_until_done(task)
    task.refresh_from_db()
    assert (task.status, task.execution_count, task.last_run_time) == ("failed", 0, None)


def test_one_beside_a_run_of_the_same_catch_up_never_counts(admin: User) -> None:
    task = factories.task(admin)
    factories.fall_behind(task, 4, ago=timedelta(seconds=400))
    open_until_done(task)
    Execution.objects.filter(task=task).move("success", completed_at=timezone.now())
    schedules.update(task, admin, {"name": "Any edit"}, partial=True)
    task.refresh_from_db()
    assert task.status == "pending"


def test_what_is_missed_while_paused_is_no_misfire(admin: User) -> None:
    task = factories.task(admin)
    factories.fall_behind(task, 4, ago=timedelta(seconds=400))
    schedules.pause(task, admin)
    schedules.resume(task, admin)
    open_until_done(task)
    assert not task.executions.exists()
