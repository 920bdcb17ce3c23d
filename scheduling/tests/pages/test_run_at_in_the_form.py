"""A `run_at` with an offset is shown as a wall time, and stays what it was where nobody touched it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduling.forms.task import filled
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
PAST = "2020-01-31T02:00+02:00"
# In Berlin the clock shows half past two twice on that day; this is the second time.
SECOND_TIME = "2090-10-29T01:30+00:00"


@pytest.fixture
def make(admin: User) -> Any:
    def made(run_at: str) -> ScheduledTask:
        task = factories.by_hand(admin, time_zone="Europe/Berlin")
        ScheduledTask.objects.filter(pk=task.pk).update(recurrence_config={"run_at": run_at})
        task.refresh_from_db()
        return task

    return made


def _save(client: Client, task: ScheduledTask, **typed: str) -> str:
    """Submits the form as it is shown, but for what is typed; answers the stored `run_at`."""
    data = dict(filled(task).lists()) | {name: [text] for name, text in typed.items()}
    answer = client.post(f"/tasks/{task.pk}/edit", data)
    assert answer.status_code == 302, answer.context["form"].recurrence.errors
    task.refresh_from_db()
    return str(task.recurrence_config["run_at"])


@pytest.mark.parametrize("run_at", [PAST, SECOND_TIME, "2020-01-31T02:00", "2090-01-31T02:00:07"])
def test_saving_the_form_as_shown_leaves_the_moment_alone(
    make: Any, run_at: str, as_admin: Client
) -> None:
    task = make(run_at)
    assert _save(as_admin, task, name="Another") == run_at
    assert task.name == "Another"


def test_another_time_replaces_it(make: Any, as_admin: Client) -> None:
    assert _save(as_admin, make(PAST), run_at="2090-01-31T01:00") == "2090-01-31T01:00"


def test_in_another_zone_the_time_on_the_wall_is_meant(make: Any, as_admin: Client) -> None:
    task = make(SECOND_TIME)
    assert _save(as_admin, task, time_zone="UTC") == "2090-10-29T02:30"


def test_another_time_in_the_past_is_refused(make: Any, as_admin: Client) -> None:
    task = make(PAST)
    data = dict(filled(task).lists()) | {"run_at": ["2020-01-31T01:01"]}
    answer = as_admin.post(f"/tasks/{task.pk}/edit", data)
    assert answer.context["form"].recurrence.errors["run_at"] == ["must lie in the future."]
