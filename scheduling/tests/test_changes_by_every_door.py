"""Whichever door a change comes through, it is kept with who made it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from scheduling.models import ScheduledTask, TaskChange
from scheduling.tests.administration.conftest import sign_in, url
from scheduling.tests.administration.test_tasks import as_typed
from scheduling.tests.api.conftest import TASKS, client_of
from scheduling.tests.cli.conftest import Schedule, manage, schedule
from scheduling.tests.porting.given import exported, imported

__all__ = ["manage", "schedule"]
pytestmark = pytest.mark.django_db


def latest(task: ScheduledTask) -> tuple[str, User | None, list[str]]:
    change = TaskChange.objects.filter(task=task.pk).latest("pk")
    return change.verb, change.user, [one["field"] for one in change.fields]


def test_the_api(operator: User, task: ScheduledTask) -> None:
    client_of(operator).patch(f"{TASKS}/{task.pk}", {"name": "Disks"}, format="json")
    assert latest(task) == ("edited", operator, ["name"])


def test_the_command_line(schedule: Schedule, admin: User, task: ScheduledTask) -> None:
    schedule("pause", task.pk)
    assert latest(task) == ("paused", admin, [])


def test_the_administration(admin: User, task: ScheduledTask) -> None:
    sign_in(admin).post(url(ScheduledTask, "change", task.pk), as_typed(task, name="Disks"))
    assert latest(task) == ("edited", admin, ["name"])


def test_an_import(admin: User, task: ScheduledTask) -> None:
    document = exported(task, user=admin)
    document["tasks"][0]["timeout_seconds"] = 60
    imported(document, admin)
    assert latest(task) == ("edited", admin, ["timeout_seconds"])


def test_the_buttons_of_a_page(operator: User, task: ScheduledTask) -> None:
    client = Client()
    client.force_login(operator)
    client.post(f"/tasks/{task.pk}/pause")
    client.post(f"/tasks/{task.pk}/resume")
    assert latest(task) == ("resumed", operator, [])
