"""A task or device with a long history is deleted by statements of which none is long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, models

from devices import fleet
from devices.models import Device
from scheduling import detaching, schedules
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]
LONG = 25


@contextmanager
def longest_write(of: type[models.Model]) -> Iterator[list[int]]:
    """Of all statements that write the table, how many rows the one did that wrote most."""
    table, most = of._meta.db_table, [0]

    def look(execute: Callable[..., Any], sql: str, *given: Any) -> Any:
        answer = execute(sql, *given)
        if sql.startswith(f'UPDATE "{table}"'):
            most[0] = max(most[0], given[-1]["cursor"].rowcount)
        return answer

    with connection.execute_wrapper(look):
        yield most


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detaching, "AT_ONCE", 10)


def test_a_tasks_executions_stay_under_its_name(task: ScheduledTask, admin: User) -> None:
    for _number in range(LONG):
        factories.execution(task, status="success")
    under_way = factories.execution(task)
    factories.run(under_way)
    with longest_write(Execution) as most:
        schedules.delete(task, admin)
    assert most == [10]
    kept = Execution.objects.filter(task=None, task_name=task.name)
    assert kept.count() == LONG + 1
    assert under_way.runs.get().status == "cancelled"


def test_a_devices_runs_stay_under_its_name(
    task: ScheduledTask, admin: User, web_device: Device
) -> None:
    for _number in range(LONG):
        ended = factories.execution(task, status="success")
        factories.run(ended, web_device, status="succeeded")
    factories.run(factories.execution(task), web_device)
    with longest_write(DeviceRun) as most:
        fleet.delete(web_device, admin)
    assert most == [10]
    kept = DeviceRun.objects.filter(device=None, device_name="web-1")
    assert kept.count() == LONG + 1
