from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from devices.models import Device
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def press(client: Client, task: ScheduledTask, button: str, **data: str) -> tuple[str, list[str]]:
    """Where the button leads, and what is said there."""
    answer = client.post(f"/tasks/{task.pk}/{button}", data)
    assert answer.status_code == 302
    return answer["Location"], [str(one) for one in get_messages(answer.wsgi_request)]


def test_pause_and_resume(as_operator: Client, task: ScheduledTask) -> None:
    _where, said = press(as_operator, task, "pause")
    assert said == ["“Disk space” is paused."]
    assert ScheduledTask.objects.get().is_paused
    press(as_operator, task, "resume")
    resumed = ScheduledTask.objects.get()
    assert not resumed.is_paused
    assert resumed.next_run_time is not None


def test_what_cannot_be_is_said_and_changes_nothing(
    as_operator: Client, task: ScheduledTask
) -> None:
    _where, said = press(as_operator, task, "resume")
    assert said == ["The task is not paused."]


def test_a_button_leads_back_to_where_it_was_pressed(
    as_operator: Client, task: ScheduledTask
) -> None:
    where, _said = press(as_operator, task, "pause", next="/tasks/?status=pending&page=2")
    assert where == "/tasks/?status=pending&page=2"


def test_a_button_leads_to_no_other_site(as_operator: Client, task: ScheduledTask) -> None:
    where, _said = press(as_operator, task, "pause", next="https://elsewhere.example/")
    assert where == task.get_absolute_url()


def test_execute_now_leads_to_the_execution(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    where, _said = press(as_operator, task, "execute")
    execution = task.executions.get()
    assert where == execution.get_absolute_url()
    assert (execution.user, execution.trigger) == (operator, "manual")


def test_nothing_changes_by_a_mere_look(as_operator: Client, task: ScheduledTask) -> None:
    for button in ("pause", "resume", "execute"):
        assert as_operator.get(f"/tasks/{task.pk}/{button}").status_code == 405
    task.refresh_from_db()
    assert not task.is_paused


def test_delete_names_what_it_destroys(
    as_operator: Client, task: ScheduledTask, web_device: Device
) -> None:
    for status in ("running", "pending"):
        factories.run(factories.execution(task), web_device, status=status)
    page = as_operator.get(f"/tasks/{task.pk}/delete").content.decode()
    assert "It will no longer run on the 1 device it targets now." in page
    assert "What is under way on 1 device is cancelled." in page
    assert "Its 2 executions stay readable in the history." in page
    assert ScheduledTask.objects.filter(pk=task.pk).exists()


def test_delete_deletes_and_leads_to_the_list(as_operator: Client, task: ScheduledTask) -> None:
    where, said = press(as_operator, task, "delete")
    assert (where, said) == ("/tasks/", ["“Disk space” is deleted."])
    assert not ScheduledTask.objects.filter(pk=task.pk).exists()


def test_a_forged_post_is_refused(operator: User, task: ScheduledTask) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    answer = client.post(f"/tasks/{task.pk}/pause")
    assert answer.status_code == 403
    assert "Please try again" in answer.content.decode()
    task.refresh_from_db()
    assert not task.is_paused
