"""A task whose kind of work this server has no longer: the API reads it, and refuses in words."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from devices.models import Device
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import EXECUTIONS, TASKS, address

pytestmark = pytest.mark.django_db


@pytest.fixture
def lost(task: ScheduledTask) -> ScheduledTask:
    ScheduledTask.objects.update(task_type="greeting")
    task.refresh_from_db()
    return task


def test_it_is_read(api: APIClient, lost: ScheduledTask) -> None:
    execution = factories.execution(lost)
    assert api.get(address(lost)).json()["task_type"] == "greeting"
    (listed,) = api.get(TASKS).json()["results"]
    assert listed["task_type"] == "greeting"
    for path in (EXECUTIONS, address(execution)):
        assert api.get(path).status_code == 200


def test_a_change_is_refused(api: APIClient, lost: ScheduledTask) -> None:
    answer = api.patch(address(lost), {"name": "new"})
    assert answer.status_code == 400
    assert "no type of task 'greeting'" in answer.json()["task_type"][0]


def test_it_is_paused_and_deleted(api: APIClient, lost: ScheduledTask) -> None:
    assert api.post(address(lost, "pause")).json()["status"] == "paused"
    assert api.delete(address(lost)).status_code == 204


def test_a_retry_is_refused(api: APIClient, lost: ScheduledTask, web_device: Device) -> None:
    execution = factories.execution(lost, status="failed")
    factories.run(execution, web_device, status="failed")
    answer = api.post(f"{EXECUTIONS}/{execution.pk}/retry")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "This server has no type of task 'greeting'."
