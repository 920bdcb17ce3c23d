"""Every page of a task whose kind of work this server has no longer says so, and works."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from devices.models import Device, DeviceGroup
from scheduling import progress, schedules, templates
from scheduling.models import DeviceRun, Execution, ScheduledTask, TaskTemplate
from scheduling.tests import factories
from scheduling.tests.pages.sending import sent

pytestmark = pytest.mark.django_db
SENTENCE = (
    "This server has no type of task &#x27;greeting&#x27;: what uses it can be looked at, paused and "
    "deleted, but neither changed nor run."
)


@pytest.fixture
def lost(operator: User, web_group: DeviceGroup) -> ScheduledTask:
    """The operator's, edited before the file of its kind was taken away."""
    given = {"command": "df", "environment": {"KEY": "secret"}}
    task = factories.task(operator, groups=[web_group], description="Nightly", task_payload=given)
    schedules.update(task, operator, {"task_payload": {"command": "echo"}}, partial=True)
    ScheduledTask.objects.update(task_type="greeting")
    task.refresh_from_db()
    return task


@pytest.fixture
def execution(lost: ScheduledTask, web_device: Device) -> Execution:
    counts = dict.fromkeys(DeviceRun.Status.values, 0) | {"failed": 1}
    result = progress.result_of(counts)
    execution = factories.execution(lost, status="failed", result=result)
    factories.run(execution, web_device, status="failed")
    return execution


@pytest.fixture
def template(operator: User) -> TaskTemplate:
    given = {"name": "Hello", "task_type": "command", "task_payload": {"command": "echo"}}
    template = templates.create(operator, given)
    TaskTemplate.objects.update(task_type="greeting")
    return template


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    page: str = answer.content.decode()
    return page


def told(answer: Any) -> list[str]:
    return [str(one).replace("'", "&#x27;") for one in get_messages(answer.wsgi_request)]


def test_its_own_pages_name_the_type(
    as_operator: Client, lost: ScheduledTask, execution: Execution, template: TaskTemplate
) -> None:
    for row in (lost, execution, template):
        assert SENTENCE in shown(as_operator, row.get_absolute_url())


def test_nothing_is_said_of_a_type_that_is_there(as_operator: Client, task: ScheduledTask) -> None:
    assert "no type of task" not in shown(as_operator, task.get_absolute_url())


def test_all_others_that_show_it_work(
    as_operator: Client, lost: ScheduledTask, execution: Execution, web_device: Device
) -> None:
    its = [f"/tasks/{lost.pk}/{page}" for page in ("changes", "delete", "template")]
    lists = ["/", "/tasks/", "/calendar/", "/executions/", "/settings/templates/"]
    bulk = [f"/tasks/bulk/{verb}?task={lost.pk}" for verb in ("pause", "delete", "edit")]
    others = [
        f"/tasks/bulk/reschedule?task={lost.pk}",
        f"/executions/{execution.pk}/retry",
        f"/devices/{web_device.pk}/",
    ]
    for address in [*its, *lists, *bulk, *others]:
        shown(as_operator, address)


def test_its_changes_name_fields_as_they_are_kept_and_no_secret(
    as_operator: Client, lost: ScheduledTask
) -> None:
    page = shown(as_operator, f"/tasks/{lost.pk}/changes")
    assert "environment: KEY" in page
    assert "secret" not in page


def test_to_edit_it_leads_to_its_page_with_the_reason(
    as_operator: Client, lost: ScheduledTask
) -> None:
    address = f"/tasks/{lost.pk}/edit"
    for answer in (as_operator.get(address), as_operator.post(address, {"name": "new"})):
        assert answer["Location"] == lost.get_absolute_url()
        assert told(answer)[-1] == SENTENCE
    script = as_operator.post(address, {"name": "new"}, headers={"HX-Request": "true"})
    assert script["HX-Redirect"] == lost.get_absolute_url()
    lost.refresh_from_db()
    assert lost.name == "Disk space"


def test_the_preview_of_a_form_left_open_says_so(as_operator: Client, lost: ScheduledTask) -> None:
    answer = as_operator.post(f"/tasks/preview?task={lost.pk}", {"recurrence_type": "daily"})
    assert SENTENCE in answer.content.decode()


def test_a_copy_keeps_all_but_what_to_run(as_operator: Client, lost: ScheduledTask) -> None:
    answer = as_operator.get(f"/tasks/new?from={lost.pk}")
    assert "no type of task &#x27;greeting&#x27;: choose what to run" in answer.content.decode()
    form = sent(answer)
    assert (form["name"], form["description"]) == (["Copy of Disk space"], ["Nightly"])
    assert (form["task_type"], form["command-commands"]) == (["command"], [""])
    assert as_operator.post("/tasks/new", form | {"command-commands": ["df"]}).status_code == 302
    assert ScheduledTask.objects.get(task_type="command").group_ids == lost.group_ids


def test_a_new_task_begins_with_what_is_left_of_a_template(
    as_operator: Client, template: TaskTemplate
) -> None:
    answer = as_operator.get(f"/tasks/new?template={template.pk}")
    assert "choose what to run instead" in answer.content.decode()
    assert sent(answer)["name"] == ["Hello"]


def test_a_template_can_be_renamed(as_operator: Client, template: TaskTemplate) -> None:
    form = sent(as_operator.get(template.get_absolute_url())) | {"name": ["Greeting"]}
    assert as_operator.post(template.get_absolute_url(), form).status_code == 302
    template.refresh_from_db()
    assert (template.name, template.task_type) == ("Greeting", "greeting")


def test_to_keep_it_as_a_template_is_refused(as_operator: Client, lost: ScheduledTask) -> None:
    answer = as_operator.post(f"/tasks/{lost.pk}/template", {"name": "Hello"})
    assert answer.status_code == 200
    assert not TaskTemplate.objects.exists()


def test_it_is_paused_resumed_and_deleted(as_operator: Client, lost: ScheduledTask) -> None:
    for button, wanted in (("pause", True), ("resume", False)):
        as_operator.post(f"/tasks/{lost.pk}/{button}")
        lost.refresh_from_db()
        assert lost.is_paused is wanted
    as_operator.post(f"/tasks/{lost.pk}/delete")
    assert not ScheduledTask.objects.exists()


def test_what_runs_after_it_is_deleted_from_loses_it(
    as_operator: Client, operator: User, lost: ScheduledTask, web_group: DeviceGroup
) -> None:
    parent = factories.task(operator, groups=[web_group])
    lost.dependencies.create(parent=parent, on="success", active_since=lost.created_at)
    assert as_operator.post(f"/tasks/{parent.pk}/delete")["Location"] == "/tasks/"
    assert ScheduledTask.objects.get() == lost
    assert not lost.dependencies.exists()


@pytest.mark.parametrize("rollout", [{}, {"strategy": "transactional"}])
def test_to_execute_it_leads_to_an_execution_that_says_why_not(
    as_operator: Client, lost: ScheduledTask, rollout: dict[str, Any]
) -> None:
    ScheduledTask.objects.update(rollout=lost.rollout | rollout)
    answer = as_operator.post(f"/tasks/{lost.pk}/execute")
    execution = lost.executions.get()
    assert answer["Location"] == execution.get_absolute_url()
    assert execution.error_message == "This server has no type of task 'greeting'."


def test_a_retry_is_refused(as_operator: Client, execution: Execution) -> None:
    answer = as_operator.post(f"/executions/{execution.pk}/retry", {"statuses": ["failed"]})
    assert told(answer) == ["This server has no type of task &#x27;greeting&#x27;."]
    assert Execution.objects.count() == 1


def test_of_many_that_are_changed_it_is_left_as_it_is(
    as_operator: Client, lost: ScheduledTask
) -> None:
    edit = {"task": str(lost.pk), "shown": "1", "confirmed": "1", "add_tags": "night"}
    (said,) = told(as_operator.post("/tasks/bulk/edit", edit))
    assert said.endswith(SENTENCE)
    later = {"task": str(lost.pk), "recurrence_type": "daily", "time": "04:00", "every": "1"}
    assert SENTENCE in as_operator.post("/tasks/bulk/reschedule", later).content.decode()


def test_the_administration_shows_and_refuses_it(as_admin: Client, lost: ScheduledTask) -> None:
    address = f"/admin/scheduling/scheduledtask/{lost.pk}/change/"
    shown(as_admin, address)
    answer = as_admin.post(address, {"name": "new"})
    assert SENTENCE in answer.content.decode()
