from __future__ import annotations

import pytest
from django.test import Client

from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def test_an_empty_system_says_what_to_do_first(as_admin: Client) -> None:
    page = as_admin.get("/").content.decode()
    assert 'href="/devices/new"' in page
    assert 'href="/tasks/new"' in page


def test_what_runs_next_what_runs_and_what_failed_are_linked(
    as_operator: Client, task: ScheduledTask
) -> None:
    running = factories.execution(task)
    failed = factories.execution(task, status="failed")
    page = as_operator.get("/").content.decode()
    for one in (task, running, failed):
        assert f'href="{one.get_absolute_url()}"' in page


def test_it_shows_nothing_of_others(as_outsider: Client, task: ScheduledTask) -> None:
    factories.execution(task, status="failed")
    assert "Disk space" not in as_outsider.get("/").content.decode()
