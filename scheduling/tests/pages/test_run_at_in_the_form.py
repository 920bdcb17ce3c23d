"""A `run_at` with an offset is shown as a wall time, and stays what it was where nobody touched it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduling import templates
from scheduling.forms.task import filled
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.pages.sending import sent

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


@pytest.mark.parametrize("zone", ["Europe", "../UTC", "Nowhere", ""])
def test_a_zone_that_is_none_is_refused_beside_its_field(
    make: Any, zone: str, as_admin: Client
) -> None:
    task = make(SECOND_TIME)
    data = dict(filled(task).lists()) | {"time_zone": [zone]}
    answer = as_admin.post(f"/tasks/{task.pk}/edit", data)
    assert answer.context["form"].recurrence.errors["time_zone"]


@pytest.mark.parametrize("exact", ["", "nonsense", "0001-01-01T00:00+14:00", PAST])
def test_a_moment_that_is_not_the_one_shown_says_nothing(
    make: Any, exact: str, as_admin: Client
) -> None:
    assert _save(as_admin, make(SECOND_TIME), run_at_exact=exact) == "2090-10-29T02:30"


@pytest.mark.parametrize("begun", ["from", "template"])
def test_what_begins_with_a_task_runs_at_its_moment(
    make: Any, begun: str, admin: User, as_admin: Client
) -> None:
    task = make(SECOND_TIME)
    second = datetime.fromisoformat(SECOND_TIME)
    ScheduledTask.objects.filter(pk=task.pk).update(start_at=second, end_at=second)
    task.refresh_from_db()
    template = templates.create(admin, {"name": "Kept", **templates.of_task(task)})
    page = as_admin.get("/tasks/new", {begun: str(task.pk if begun == "from" else template.pk)})
    data = sent(page)
    for answer in (page, as_admin.post("/tasks/preview", data)):
        assert [run.at for run in answer.context["preview"].runs] == [second]
    assert as_admin.post("/tasks/new", data | {"name": ["Copy"]}).status_code == 302
    copy = ScheduledTask.objects.get(name="Copy")
    assert copy.recurrence_config == {"run_at": SECOND_TIME}
    assert (copy.start_at, copy.end_at) == (second, second)


def test_tasks_rescheduled_together_begin_with_a_moment_of_one(make: Any, as_admin: Client) -> None:
    tasks = [str(make(SECOND_TIME).pk) for _number in range(2)]
    form = as_admin.get("/tasks/bulk/reschedule", {"task": tasks}).context["recurrence"]
    assert form.definition()["recurrence_config"] == {"run_at": SECOND_TIME}
