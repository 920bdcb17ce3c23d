"""The list of ten thousand tasks."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import Device, DeviceGroup
from scheduling import task_filters
from scheduling.models import ScheduledTask

pytestmark = pytest.mark.django_db
MANY = 10_000
AT_ONCE = 500
MOST_BYTES = 300_000
MOST_QUERIES = 12


def make(number: int, owner: User, group: DeviceGroup, device: Device) -> None:
    made = (_task(one, owner, group, device) for one in range(number))
    while some := list(islice(made, AT_ONCE)):
        ScheduledTask.objects.bulk_create(some)


def _task(number: int, owner: User, group: DeviceGroup, device: Device) -> ScheduledTask:
    now = timezone.now()
    statuses = ScheduledTask.Status.values
    return ScheduledTask(
        user=owner,
        name=f"Task number {number}",
        task_type="command",
        task_payload={"command": "echo hello"},
        recurrence_type="daily",
        recurrence_config={"time": "02:00"},
        group_ids=[str(group.pk)],
        device_ids=[str(device.pk)],
        tags=["night", f"rack-{number % 40}"],
        status=statuses[number % len(statuses)],
        next_run_time=now + timedelta(minutes=number),
        next_scheduled_for=now + timedelta(minutes=number),
        last_run_time=now - timedelta(minutes=number),
        last_execution_status="success",
    )


def look(client: Client, address: str) -> tuple[int, int]:
    """How many queries a page asked, and how many bytes it has."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    assert answer.status_code == 200
    return len(captured), len(answer.content)


def test_no_page_of_it_is_large_or_asks_much(
    as_operator: Client, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    make(MANY, operator, web_group, web_device)
    for query in (
        "", "?page=400", "?search=number+77&sort=name", "?status=failed&ran=day&sort=last",
        "?tag=rack-7&sort=runs", "?due=week", "?due=over",
    ):  # fmt: skip
        queries, size = look(as_operator, f"/tasks/{query}")
        assert queries <= MOST_QUERIES, query
        assert size < MOST_BYTES, query


def test_its_usual_order_is_read_from_an_index(
    operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    make(2_000, operator, web_group, web_device)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scheduled_tasks")
    listed = task_filters.narrowed(ScheduledTask.objects.all(), {}, now=timezone.now())
    assert "task_listed" in task_filters.ordered(listed, {})[:25].explain()


def test_two_hundred_tasks_ask_no_more_than_ten(
    as_operator: Client, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    make(10, operator, web_group, web_device)
    before, _size = look(as_operator, "/tasks/")
    make(190, operator, web_group, web_device)
    assert look(as_operator, "/tasks/")[0] == before


def test_a_thousand_ticked_tasks_are_one_page_of_few_queries(
    as_operator: Client, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    make(1_000, operator, web_group, web_device)
    for verb in ("pause", "execute", "delete", "edit"):
        queries, size = look(as_operator, f"/tasks/bulk/{verb}?all=1")
        assert queries <= MOST_QUERIES, verb
        assert size < MOST_BYTES, verb
