"""The preview of a task that is edited shows when that task will run, not when a new one would."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DeviceGroup
from scheduling import clock, schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.pages.sending import sent

pytestmark = pytest.mark.django_db
RESCHEDULE = "/tasks/bulk/reschedule"
HOURLY = {"recurrence_type": "interval", "recurrence_config": {"every": 1, "unit": "hours"}}
# In Berlin the clock shows half past two twice on that day; this is the second time.
SECOND_TIME = "2090-10-29T01:30:00+00:00"


@pytest.fixture
def make(operator: User, web_group: DeviceGroup, in_2026: datetime) -> Any:
    """A task that was made an hour and a half before now."""

    def made(**changes: Any) -> ScheduledTask:
        task = factories.task(operator, groups=[web_group], **{**HOURLY, **changes})
        made_at = in_2026 - timedelta(minutes=90)
        ScheduledTask.objects.filter(pk=task.pk).update(created_at=made_at)
        task.refresh_from_db()
        return task

    return made


def at_edit(client: Client, task: ScheduledTask, **typed: str) -> Any:
    """The preview after something was typed into the task's form, asked for where the page says."""
    page = client.get(f"/tasks/{task.pk}/edit")
    address = f"/tasks/preview?task={task.pk}"
    assert f'hx-post="{address}"' in page.content.decode()
    data = sent(page) | {name: [text] for name, text in typed.items()}
    answer = client.post(address, data)
    if not typed:
        assert runs(page) == runs(answer)
    return answer


def runs(answer: Any) -> list[datetime]:
    return [run.at for run in answer.context["preview"].runs]


def ahead(task: ScheduledTask, number: int = 5) -> list[datetime]:
    return [run.at for run in task.rule.next_runs(clock.now(), number)]


def test_an_interval_goes_on_from_when_the_task_was_made(as_operator: Client, make: Any) -> None:
    task = make()
    assert runs(at_edit(as_operator, task)) == ahead(task)
    assert ahead(task)[0] == clock.now() + timedelta(minutes=30)


def test_what_was_typed_is_counted_from_then_as_well(as_operator: Client, make: Any) -> None:
    task = make()
    shown = runs(at_edit(as_operator, task, every="2"))
    changed = {"recurrence_config": {"every": 2, "unit": "hours"}}
    schedules.update(task, task.user, changed, partial=True)
    task.refresh_from_db()
    assert shown == ahead(task)
    assert task.next_scheduled_for == shown[0]


def test_no_more_runs_show_than_the_bound_leaves(as_operator: Client, make: Any) -> None:
    task = make(max_runs=5)
    ScheduledTask.objects.filter(pk=task.pk).update(scheduled_run_count=3)
    assert runs(at_edit(as_operator, task)) == ahead(task, 2)
    assert runs(at_edit(as_operator, task, max_runs="4")) == ahead(task, 1)
    assert runs(at_edit(as_operator, task, max_runs="2")) == []


def test_a_new_task_runs_as_often_as_its_bound_says(
    as_operator: Client, daily_df: dict[str, Any]
) -> None:
    typed = {**daily_df, "time_zone": "UTC", "max_runs": "2"}
    assert len(runs(as_operator.post("/tasks/preview", typed))) == 2


def test_a_time_that_has_been_is_no_error_where_it_was_left_alone(
    as_operator: Client, make: Any
) -> None:
    task = make(recurrence_type="once", recurrence_config={"run_at": "2090-01-31T02:00"})
    past = {"run_at": "2020-01-31T02:00"}
    ScheduledTask.objects.filter(pk=task.pk).update(recurrence_config=past)
    assert runs(at_edit(as_operator, task)) == []
    wrong = at_edit(as_operator, task, run_at="2020-02-01T02:00")
    assert wrong.context["preview_errors"]
    page = as_operator.get(RESCHEDULE, {"task": str(task.pk)})
    assert runs(page) == []
    assert [one.problem for one in page.context["listed"]] == [""]


def test_the_offset_of_its_times_stays(as_operator: Client, make: Any) -> None:
    task = make(
        recurrence_type="once",
        recurrence_config={"run_at": SECOND_TIME},
        time_zone="Europe/Berlin",
        end_at=SECOND_TIME,
    )
    assert runs(at_edit(as_operator, task)) == [datetime.fromisoformat(SECOND_TIME)]
    address = f"/tasks/{task.pk}/edit"
    assert as_operator.post(address, sent(as_operator.get(address))).status_code == 302
    end_at = task.end_at
    task.refresh_from_db()
    assert task.end_at == end_at


def test_a_paused_task_is_said_to_be_paused(as_operator: Client, make: Any) -> None:
    task = make()
    schedules.pause(task, task.user)
    assert "It is paused" in at_edit(as_operator, task).content.decode()


def test_nobody_previews_a_task_they_may_not_see(as_outsider: Client, make: Any) -> None:
    assert as_outsider.post(f"/tasks/preview?task={make().pk}", {}).status_code == 404


def preview_in_dialog(client: Client, tasks: list[ScheduledTask], **typed: str) -> Any:
    given = {"task": [str(one.pk) for one in tasks]}
    data = sent(client.get(RESCHEDULE, given)) | {name: [text] for name, text in typed.items()}
    headers = {"HX-Request": "true", "HX-Target": "preview"}
    return client.post(RESCHEDULE, data, headers=headers)


def test_one_task_is_rescheduled_as_its_preview_says(as_operator: Client, make: Any) -> None:
    task = make(max_runs=3, end_at="2026-11-24T19:00Z")
    assert runs(preview_in_dialog(as_operator, [task])) == ahead(task, 3)
    assert len(runs(preview_in_dialog(as_operator, [task], every="3"))) == 2


def test_several_tasks_count_each_from_its_own_start(as_operator: Client, make: Any) -> None:
    tasks = [make(), make(name="Backups")]
    answer = preview_in_dialog(as_operator, tasks)
    assert "Each task counts from its own start" in answer.content.decode()
    assert runs(answer) == []
    daily = preview_in_dialog(as_operator, tasks, recurrence_type="daily", time="02:00", every="1")
    assert "Each task counts" not in daily.content.decode()
    assert len(runs(daily)) == 5
