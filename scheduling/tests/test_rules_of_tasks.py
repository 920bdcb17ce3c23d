"""Where a task's rule meets its definition and its missed runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput
from scheduling import catching_up, schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories


@pytest.fixture
def past_once(admin: User) -> ScheduledTask:
    """A task whose only run was in 2020."""
    task = factories.by_hand(admin)
    ScheduledTask.objects.filter(pk=task.pk).update(
        recurrence_config={"run_at": "2020-01-31T02:00"}
    )
    task.refresh_from_db()
    return task


def test_a_past_run_at_written_another_way_is_still_the_old_one(
    past_once: ScheduledTask, admin: User
) -> None:
    changes = {"name": "Another", "recurrence_config": {"run_at": "2020-01-31 02:00:00"}}
    task = schedules.update(past_once, admin, changes, partial=True)
    assert (task.name, task.recurrence_config) == ("Another", {"run_at": "2020-01-31T02:00"})


def test_another_past_run_at_is_refused(past_once: ScheduledTask, admin: User) -> None:
    changes = {"recurrence_config": {"run_at": "2020-01-31T02:01"}}
    with pytest.raises(InvalidInput) as refusal:
        schedules.update(past_once, admin, changes, partial=True)
    assert list(refusal.value.errors) == ["recurrence_config"]


def test_an_occurrence_that_its_jitter_holds_back_is_not_missed_yet(admin: User) -> None:
    task = factories.task(
        admin, recurrence_type="daily", recurrence_config={"time": "12:00"},
        jitter_seconds=80_000, misfire_grace_seconds=0, misfire_policy="skip",
    )  # fmt: skip
    first, second = task.rule.next_runs(timezone.now(), 2)
    task.next_scheduled_for, task.next_run_time = first.at, first.due
    # The second has its nominal time behind it, and its delay ahead.
    now = second.at + (second.due - second.at) / 2
    missed = catching_up.missed(task, now)
    assert missed is not None
    assert (missed.number, missed.latest, missed.resume_at) == (1, first.at, second)


def test_an_occurrence_past_its_delay_and_grace_is_missed(admin: User) -> None:
    task = factories.task(
        admin, recurrence_type="daily", recurrence_config={"time": "12:00"},
        jitter_seconds=80_000, misfire_grace_seconds=0, misfire_policy="skip",
    )  # fmt: skip
    first, second = task.rule.next_runs(timezone.now(), 2)
    task.next_scheduled_for, task.next_run_time = first.at, first.due
    missed = catching_up.missed(task, second.due + catching_up.PUNCTUAL + timedelta(seconds=1))
    assert missed is not None
    assert (missed.number, missed.latest) == (2, second.at)
