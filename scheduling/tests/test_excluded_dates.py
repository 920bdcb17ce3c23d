"""On an excluded date the schedule starts nothing, not even what was missed before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from scheduling import clock, due, heartbeats, notices, schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
WEEK_SECONDS = 7 * 86_400


def missed_yesterday(user: User, **options: Any) -> ScheduledTask:
    """A task that runs once a day, where it is noon now, today is excluded, and yesterday's run was not
    opened."""
    now = timezone.now()
    behind_utc = now.hour - 12
    today = (now - timedelta(hours=behind_utc)).date()
    task = factories.task(user, time_zone=f"Etc/GMT{behind_utc:+d}", **options)
    factories.fall_behind(task, 1, ago=DAY + timedelta(hours=1), every=DAY)
    ScheduledTask.objects.filter(pk=task.pk).update(excluded_dates=[str(today)])
    task.refresh_from_db()
    return task


@pytest.mark.parametrize("policy", ["run_latest", "run_all"])
@pytest.mark.parametrize("grace", [300, WEEK_SECONDS])
def test_what_was_missed_before_it_runs_after_it(
    admin: User, monkeypatch: pytest.MonkeyPatch, policy: str, grace: int
) -> None:
    task = missed_yesterday(admin, misfire_policy=policy, misfire_grace_seconds=grace)
    planned = task.next_scheduled_for
    assert due.open_many({task.pk: None}, "beat") == 0
    task.refresh_from_db()
    assert (task.next_scheduled_for, task.executions.count()) == (planned, 0)
    tomorrow = timezone.now() + DAY
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    due.open_many({task.pk: None}, "beat")
    assert task.executions.filter(status="running").count() == 1


def test_what_is_never_run_late_is_written_off_at_once(admin: User) -> None:
    task = missed_yesterday(admin, misfire_policy="skip")
    assert due.open_many({task.pk: None}, "beat") == 1
    assert task.executions.get().status == "missed"


def test_people_are_told_what_it_waits_for(admin: User, client: Client) -> None:
    for kind in ("worker", "beat"):
        heartbeats.record(kind, "one")
    task = missed_yesterday(admin)
    client.force_login(admin)
    page = client.get(task.get_absolute_url()).content.decode()
    assert "On an excluded date nothing starts" in page
    assert notices.current() == []


def test_by_hand_it_runs_on_any_day(admin: User) -> None:
    assert schedules.execute(missed_yesterday(admin), admin).status == "running"
