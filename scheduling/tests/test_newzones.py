"""A newer time zone database: what was planned by the older one runs at the time its rule says now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.models import Installation
from scheduling import due, newzones, opening, reconcile
from scheduling.models import ScheduledTask
from scheduling.tests import factories

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def upgraded(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """This program's time zone database is newer than the one that all plans follow."""
    monkeypatch.setattr(newzones, "_followed", [""])
    Installation.objects.update_or_create(only=True, defaults={"tzdata_version": "2020.1"})


def this_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def planned(user: User, kind: str, by_rule: datetime, planned_for: datetime) -> ScheduledTask:
    """A task whose rule gives one time, and whose plan an older database made for another; nothing
    was written in it since yesterday."""
    config: dict[str, Any] = {"time": f"{by_rule:%H:%M}"}
    if kind == "once":
        config = {"run_at": f"{by_rule:%Y-%m-%dT%H:%M}"}
    task = factories.task(user, misfire_grace_seconds=86_400)
    ScheduledTask.objects.filter(pk=task.pk).update(
        recurrence_type=kind,
        recurrence_config=config,
        next_scheduled_for=planned_for,
        next_run_time=planned_for,
        updated_at=planned_for - timedelta(days=1),
    )
    task.refresh_from_db()
    return task


def plan(task: ScheduledTask) -> datetime | None:
    task.refresh_from_db()
    assert task.next_run_time == task.next_scheduled_for
    return task.next_scheduled_for


@pytest.mark.parametrize("kind", ["once", "daily"])
@pytest.mark.parametrize("in_a_burst", [False, True])
def test_what_is_an_hour_later_now_does_not_run_before(
    admin: User, kind: str, in_a_burst: bool
) -> None:
    later = this_minute() + HOUR
    task = planned(admin, kind, later, later - HOUR)
    if in_a_burst:
        assert due.open_many({task.pk: None}, "beat") == 0
    else:
        assert opening.open_due(task.pk, later - HOUR, "beat") is None
    assert (plan(task), task.executions.count()) == (later, 0)


@pytest.mark.parametrize("kind", ["once", "daily"])
def test_what_should_have_run_an_hour_ago_runs_for_that_time(admin: User, kind: str) -> None:
    earlier = this_minute() - HOUR
    task = planned(admin, kind, earlier, earlier + HOUR)
    execution = opening.open_due(task.pk, None, "beat")
    assert execution is not None
    assert (execution.status, execution.scheduled_for) == ("running", earlier)
    assert plan(task) == (None if kind == "once" else earlier + timedelta(days=1))


def test_reconcile_makes_all_plans_anew_once(admin: User, django_assert_num_queries: Any) -> None:
    moment = this_minute() + 3 * HOUR
    task = planned(admin, "daily", moment, moment + HOUR)
    right = factories.task(admin)
    interval = factories.task(
        admin, recurrence_type="interval", recurrence_config={"every": 1, "unit": "hours"}
    )
    before = [plan(one) for one in (right, interval)]
    assert newzones.replan in reconcile.STEPS
    assert newzones.replan() == 1
    assert [plan(one) for one in (task, right, interval)] == [moment, *before]
    assert Installation.objects.get().tzdata_version == newzones.own()
    newzones.replan()
    with django_assert_num_queries(0):
        assert newzones.replan() == 0
        assert newzones.stale([task]) == set()


def test_an_edit_since_the_plan_was_made_is_no_reason_to_run_what_was_before_it(
    admin: User,
) -> None:
    moment = this_minute() + HOUR
    task = planned(admin, "daily", moment - 2 * HOUR, moment)
    ScheduledTask.objects.filter(pk=task.pk).update(updated_at=timezone.now())
    newzones.replan()
    assert plan(task) == moment - 2 * HOUR + timedelta(days=1)


def test_an_older_database_than_the_known_changes_nothing(admin: User) -> None:
    Installation.objects.update(tzdata_version="2999.1")
    moment = this_minute() + HOUR
    task = planned(admin, "daily", moment, moment + HOUR)
    assert newzones.replan() == 0
    assert plan(task) == moment + HOUR
