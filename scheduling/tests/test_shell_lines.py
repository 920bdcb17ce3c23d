"""Lines to paste into a shell: whole, harmless to quote, and without a secret in them."""

from __future__ import annotations

import json
import shlex
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Device
from scheduling import progress, schedules, shell_lines
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.pages.conftest import as_operator

__all__ = ["as_operator"]
pytestmark = pytest.mark.django_db

RESULT = progress.result_of(dict.fromkeys(DeviceRun.Status.values, 51))
AWKWARD = 'it\'s $(id) `id` "x" \\ \n -- ; rm -rf /'


@pytest.fixture
def awkward(admin: User) -> DeviceRun:
    payload = {"command": AWKWARD, "environment": {"PASSWORD": "hunter2"}}
    execution = factories.execution(factories.task(admin, task_payload=payload, name="-rf it's"))
    return factories.run(execution, status="failed")


def sent(curl: str) -> dict[str, Any]:
    """What a shell would make of the line: the body curl is given."""
    words = shlex.split(curl.replace("\\\n", ""))
    body: dict[str, Any] = json.loads(words[words.index("--data") + 1])
    return body


def test_a_payload_comes_through_a_shell_as_it_was(awkward: DeviceRun, admin: User) -> None:
    lines = shell_lines.of_run(awkward, admin)
    assert lines is not None
    assert sent(lines.curl)["task_payload"]["command"] == AWKWARD
    words = shlex.split(lines.cli.replace("\\\n", ""))
    assert json.loads(words[2])["command"] == AWKWARD
    assert words[:2] == ["task=$(printf", "%s"]


def test_values_that_may_be_secret_are_masked(awkward: DeviceRun, admin: User) -> None:
    for lines in (
        shell_lines.of_run(awkward, admin),
        shell_lines.of_execution(awkward.execution, admin),
    ):
        assert lines is not None
        assert lines.is_masked
        assert "hunter2" not in f"{lines}"
        assert sent(lines.curl)["task_payload"]["environment"] == {"PASSWORD": "***"}
        assert "Bearer $DEPLOYX_TOKEN" in lines.curl


def test_a_run_is_repeated_on_its_device_alone(awkward: DeviceRun, admin: User) -> None:
    lines = shell_lines.of_run(awkward, admin)
    assert lines is not None
    body = sent(lines.curl)
    assert (body["device_ids"], body["group_ids"]) == ([str(awkward.device_id)], [])
    assert f"--device {awkward.device_id}" in lines.cli
    assert f"/api/schedule/runs/{awkward.pk}/output" in lines.output


def test_a_task_of_very_many_targets_is_named_instead_of_them(
    task: ScheduledTask, operator: User
) -> None:
    task.device_ids = [str(uuid4()) for _number in range(51)]
    task.save()
    execution = factories.execution(task)
    lines = shell_lines.of_execution(execution, operator)
    assert lines is not None
    assert f"/api/schedule/tasks/{task.pk}/execute" in lines.curl
    assert f"-- {task.pk}" in lines.cli


@pytest.mark.parametrize("change", ["edited", "deleted", "another person's"])
def test_of_very_many_targets_no_line_is_given_once_the_task_is_another(
    task: ScheduledTask, operator: User, outsider: User, change: str
) -> None:
    task.device_ids = [str(uuid4()) for _number in range(51)]
    task.save()
    execution = factories.execution(task)
    if change == "edited":
        schedules.update(task, operator, {"timeout_seconds": 5, "device_ids": []}, partial=True)
    elif change == "deleted":
        schedules.delete(task, operator)
    else:
        ScheduledTask.objects.filter(pk=task.pk).update(user=outsider)
    execution.refresh_from_db()
    lines = shell_lines.of_execution(execution, operator)
    assert lines is not None
    assert (lines.cli, lines.curl) == ("", "")
    assert lines.why_not


def test_a_retry_on_very_many_devices_has_no_line_and_says_why(
    as_operator: Client, task: ScheduledTask
) -> None:
    execution = factories.execution(task, trigger="retry", result=RESULT)
    for _number in range(51):
        factories.run(execution)
    page = as_operator.get(execution.get_absolute_url()).content.decode()
    assert "It ran on more devices than a line can name (50)." in page
    assert 'id="lines-cli"' not in page


def test_no_line_where_there_is_nothing_to_repeat(
    task: ScheduledTask, operator: User, web_device: Device
) -> None:
    restored = factories.execution(task)
    restored.definition["task_payload"] = {"restore": {}}
    gone = factories.run(factories.execution(task), web_device)
    gone.device_id = None
    assert shell_lines.of_execution(restored, operator) is None
    assert shell_lines.of_execution(Execution(definition={}), operator) is None
    assert shell_lines.of_run(gone, operator) is None
