"""Each task's one PeriodicTask, and that a stock scheduler gets its runs by it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from celery.app import app_or_default
from django.contrib.auth.models import User
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
)
from django_celery_beat.schedulers import ModelEntry

from scheduling import due, opening, schedules, tasks
from scheduling.beat import mirror
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

Config = dict[str, Any]
# recurrence type, its config, and minute, hour, day of month, month, day of week
CRONTABS: list[tuple[str, Config, str]] = [
    ("daily", {"time": "02:05"}, "5 2 * * *"),
    ("weekly", {"time": "02:05", "days_of_week": [0, 4]}, "5 2 * * 1,5"),
    ("weekly", {"time": "02:05", "days_of_week": [6]}, "5 2 * * 0"),
    ("monthly", {"time": "02:05", "day_of_month": 15}, "5 2 15 * *"),
    ("custom", {"cron_expression": "*/15 8-10 * * 1-3"}, "*/15 8,9,10 * * 1,2,3"),
]


def mirrored(task: ScheduledTask) -> PeriodicTask:
    task.refresh_from_db()
    assert task.periodic_task is not None
    return PeriodicTask.objects.get(pk=task.periodic_task.pk)


def planned(admin: User, kind: str, config: Config, **changes: Any) -> ScheduledTask:
    return factories.task(admin, recurrence_type=kind, recurrence_config=config, **changes)


@pytest.mark.parametrize(("kind", "config", "expected"), CRONTABS)
def test_what_a_crontab_says_exactly_is_a_crontab_in_the_tasks_zone(
    admin: User, kind: str, config: Config, expected: str
) -> None:
    row = mirrored(planned(admin, kind, config, time_zone="Asia/Tokyo"))
    cron = row.crontab
    found = f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}"
    assert (found, str(cron.timezone)) == (expected, "Asia/Tokyo")
    assert (row.interval, row.clocked, row.enabled, row.one_off) == (None, None, True, False)


def test_an_interval_is_an_interval_anchored_at_the_nominal_time(admin: User) -> None:
    task = planned(admin, "interval", {"every": 15, "unit": "minutes"})
    row = mirrored(task)
    assert (row.interval.every, row.interval.period) == (900, "seconds")
    assert row.last_run_at + timedelta(minutes=15) == task.next_scheduled_for


def test_whole_days_are_days(admin: User) -> None:
    row = mirrored(planned(admin, "interval", {"every": 2, "unit": "weeks"}))
    assert (row.interval.every, row.interval.period) == (14, "days")


DAILY: Config = {"time": "02:05"}
CLOCKED: list[tuple[str, Config, dict[str, Any]]] = [
    ("once", {"run_at": "2099-01-01T00:00"}, {}),
    ("daily", {**DAILY, "every": 3}, {}),
    ("weekly", {**DAILY, "days_of_week": [0], "every": 2}, {}),
    ("monthly", {**DAILY, "day_of_month": -1}, {}),
    ("monthly", {**DAILY, "nth": 2, "weekday": 1}, {}),
    ("monthly", {**DAILY, "day_of_month": 31, "missing_day": "last"}, {}),
    ("custom", {"cron_expression": "0 2 13 * 5"}, {}),
    ("daily", DAILY, {"jitter_seconds": 60}),
    ("daily", DAILY, {"max_runs": 3}),
    ("daily", DAILY, {"start_at": "2098-01-01T00:00:00Z"}),
    ("daily", DAILY, {"end_at": "2098-01-01T00:00:00Z"}),
    ("daily", DAILY, {"excluded_dates": ["2098-01-01"]}),
    ("interval", {"every": 15, "unit": "minutes"}, {"end_at": "2098-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("kind", "config", "changes"), CLOCKED, ids=str)
def test_the_rest_is_armed_for_the_next_occurrence(
    admin: User, kind: str, config: Config, changes: dict[str, Any]
) -> None:
    task = planned(admin, kind, config, **changes)
    row = mirrored(task)
    assert (row.crontab, row.interval, row.one_off, row.enabled) == (None, None, True, True)
    assert row.clocked.clocked_time == task.next_run_time


def test_a_task_that_waits_for_another_is_armed_as_well(admin: User) -> None:
    parent = factories.task(admin)
    links = [{"task_id": str(parent.pk), "on": "success"}]
    row = mirrored(factories.task(admin, depends_on=links))
    assert (row.crontab, row.clocked is not None) == (None, True)


def test_a_plan_without_a_next_run_is_disabled(admin: User) -> None:
    task = factories.task(admin)
    schedules.pause(task, admin)
    assert mirrored(task).enabled is False
    schedules.resume(task, admin)
    assert mirrored(task).enabled is True
    assert mirrored(factories.by_hand(admin)).enabled is False


def test_an_edit_changes_the_one_row_there_is(admin: User) -> None:
    task = factories.task(admin)
    before = mirrored(task)
    change = {
        "recurrence_type": "interval",
        "recurrence_config": {"every": 1, "unit": "hours"},
        "name": "Hourly",
    }
    schedules.update(task, admin, change, partial=True)
    row = mirrored(task)
    assert (row.pk, row.crontab, row.interval.every) == (before.pk, None, 3_600)
    assert row.name == f"Hourly ({task.pk})"
    assert PeriodicTask.objects.filter(task=mirror.OPEN_DUE).count() == 1


def test_the_next_occurrence_is_armed_when_one_opens(admin: User) -> None:
    task = factories.task(admin, max_runs=3)
    factories.make_due(task)
    opening.open_due(task.pk, None, "beat")
    task.refresh_from_db()
    row = mirrored(task)
    assert row.clocked.clocked_time == task.next_run_time
    assert ClockedSchedule.objects.count() == 1


def test_a_deleted_task_leaves_nothing_of_its_own(admin: User) -> None:
    schedules.delete(factories.task(admin, max_runs=3), admin)
    assert not PeriodicTask.objects.filter(task=mirror.OPEN_DUE).exists()
    assert not ClockedSchedule.objects.exists()


def test_equal_schedules_are_shared_even_where_there_are_two_of_them(admin: User) -> None:
    for _number in range(2):
        CrontabSchedule.objects.create(minute="5", hour="2", timezone="UTC")
        IntervalSchedule.objects.create(every=900, period="seconds")
    crons = [mirrored(planned(admin, "daily", DAILY)).crontab for _number in range(2)]
    quarter = {"every": 15, "unit": "minutes"}
    intervals = [mirrored(planned(admin, "interval", quarter)).interval for _number in range(2)]
    assert len(set(crons)) == len(set(intervals)) == 1
    assert (CrontabSchedule.objects.filter(hour="2").count(), IntervalSchedule.objects.count()) == (
        2,
        2,
    )


def test_a_periodic_task_that_somebody_deleted_comes_back(admin: User) -> None:
    task = factories.task(admin)
    mirrored(task).delete()
    task.refresh_from_db()
    schedules.update(task, admin, {"name": "New"}, partial=True)
    assert mirrored(task).name.startswith("New")


def test_a_change_tells_stock_schedulers_after_the_commit(admin: User, after_commit: Any) -> None:
    PeriodicTasks.update_changed()
    before = PeriodicTasks.last_change()
    with after_commit():
        task = factories.task(admin)
        assert PeriodicTasks.last_change() == before
    told = PeriodicTasks.last_change()
    assert told > before
    with after_commit():
        schedules.update(task, admin, {"tags": ["changes nothing there"]}, partial=True)
    assert PeriodicTasks.last_change() == told
    with after_commit():
        schedules.delete(task, admin)
    assert PeriodicTasks.last_change() > told


SIX_TYPES: list[tuple[str, Config]] = [
    ("once", {"run_at": "2099-01-01T00:00"}),
    ("interval", {"every": 15, "unit": "minutes"}),
    ("daily", {"time": "02:05"}),
    ("weekly", {"time": "02:05", "days_of_week": [0]}),
    ("monthly", {"time": "02:05", "day_of_month": 15}),
    ("custom", {"cron_expression": "*/15 8-18 * * 1-5"}),
]


@pytest.mark.parametrize(("kind", "config"), SIX_TYPES)
def test_a_stock_scheduler_alone_opens_every_type(admin: User, kind: str, config: Config) -> None:
    task = planned(admin, kind, config)
    moment = factories.make_due(task)
    mirror.write(task)
    # As stock sees it a long time after the last run, whatever day it is.
    PeriodicTask.objects.filter(pk=mirrored(task).pk).update(
        last_run_at=timezone.now() - timedelta(days=40)
    )
    row = mirrored(task)
    assert ModelEntry(row, app=app_or_default()).is_due().is_due
    assert row.queue == "dispatch"
    assert row.task == tasks.open_due.name
    tasks.open_due(*json.loads(row.args))
    execution = Execution.objects.get()
    assert (execution.scheduled_for, execution.opened_by) == (moment, "stock")


def test_an_interval_does_not_drift_under_a_stock_scheduler(admin: User) -> None:
    task = factories.task(admin, overlap_policy="allow", misfire_policy="run_all")
    every = timedelta(minutes=10)
    moments = factories.fall_behind(task, 100, ago=timedelta(seconds=1), every=every)
    while due.open_all(task.pk, None, "stock"):
        row = mirrored(task)
        assert row.last_run_at + every == task.next_scheduled_for
    opened = Execution.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True)
    assert list(opened) == moments
