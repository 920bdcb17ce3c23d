"""A task whose zone, rule or type this server does not know any more: every page still opens."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from devices.models import Device
from scheduling import opening
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
BROKEN: dict[str, dict[str, Any]] = {
    "zone": {"time_zone": "Atlantis/Capital"},
    "rule": {"recurrence_config": {"time": "nonsense"}},
    "type": {"task_type": "gone"},
}


def broken_task(user: User, device: Device, what: str) -> ScheduledTask:
    """One that has run, and became what it is behind our back."""
    task = factories.task(user, devices=[device])
    factories.make_due(task)
    opening.open_due(task.pk, None, "beat")
    ScheduledTask.objects.filter(pk=task.pk).update(**BROKEN[what])
    return task


@pytest.mark.parametrize("what", BROKEN)
def test_the_pages_that_show_it_open(
    as_admin: Client, admin: User, web_device: Device, what: str
) -> None:
    task = broken_task(admin, web_device, what)
    execution = task.executions.get()
    for path in (
        "/", "/tasks/", "/calendar/", "/executions/", task.get_absolute_url(),
        f"{task.get_absolute_url()}delete", execution.get_absolute_url(),
        "/api/schedule/tasks", f"/api/schedule/tasks/{task.pk}", "/api/schedule/calendar",
    ):  # fmt: skip
        assert as_admin.get(path).status_code == 200, path


@pytest.mark.parametrize("what", BROKEN)
def test_the_command_line_shows_it(
    admin: User, web_device: Device, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = broken_task(admin, web_device, what)
    call_command("schedule", "list")
    call_command("schedule", "show", str(task.pk))
    assert str(task.pk) in capsys.readouterr().out


@pytest.mark.parametrize("what", ["zone", "rule"])
def test_it_can_be_mended(as_admin: Client, admin: User, web_device: Device, what: str) -> None:
    task = broken_task(admin, web_device, what)
    assert "Not a valid rule any more" in as_admin.get(task.get_absolute_url()).content.decode()
    assert as_admin.get(f"{task.get_absolute_url()}edit").status_code == 200
