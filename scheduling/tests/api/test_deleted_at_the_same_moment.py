"""What a request names is deleted while it is being answered: a refusal, never an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from rest_framework.test import APIClient

from devices import fleet, groups
from devices.models import Device, DeviceGroup
from scheduling.models import ScheduledTask, TaskDependency
from scheduling.tests import factories
from scheduling.tests.api.conftest import TASKS
from scheduling.tests.test_revoking_at_the_same_moment import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


def while_deleted(delete: Callable[[], object], ask: Callable[[], Any]) -> Any:
    """The answer to a request that finds the thing there, and comes to wait for its deletion."""
    with transaction.atomic():
        delete()
        thread, answers = meanwhile(ask)
    thread.join()
    return answers[0]


def test_a_device_that_is_changed(admin_api: APIClient, web_device: Device) -> None:
    path = f"/api/devices/{web_device.pk}"
    answer = while_deleted(web_device.delete, lambda: admin_api.patch(path, {"name": "new"}))
    assert answer.status_code == 404


def test_a_device_that_joins_a_group(admin_api: APIClient, web_device: Device) -> None:
    group = factories.group()
    given = {"device_ids": [str(web_device.pk)]}
    answer = while_deleted(
        web_device.delete, lambda: admin_api.patch(f"/api/groups/{group.pk}", given)
    )
    assert answer.status_code == 409
    assert not group.devices.exists()


def test_a_task_that_another_one_is_to_follow(
    api: APIClient, task: ScheduledTask, body: dict[str, Any]
) -> None:
    given = body | {"depends_on": [{"task_id": str(task.pk), "on": "success"}]}
    answer = while_deleted(
        ScheduledTask.objects.filter(pk=task.pk).delete, lambda: api.post(TASKS, given)
    )
    assert (answer.status_code, answer.json()["status"]) == (409, "deleted")
    assert not TaskDependency.objects.exists()


def test_a_group_that_a_token_lets_into(
    admin: User, admin_api: APIClient, web_group: DeviceGroup
) -> None:
    given = {"group_id": str(web_group.pk)}
    answer = while_deleted(
        lambda: groups.delete(web_group, admin),
        lambda: admin_api.post("/api/enrollment-tokens", given),
    )
    assert answer.status_code == 409


def test_a_change_that_names_its_version_waits_for_no_run_that_is_being_written(
    admin_api: APIClient, web_device: Device
) -> None:
    path = f"/api/devices/{web_device.pk}"
    tag = admin_api.get(path)["ETag"]

    def change() -> Any:
        try:
            return admin_api.patch(path, {"name": "new"}, headers={"If-Match": tag})
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as pool:
        fleet.hold([web_device.pk])
        assert pool.submit(change).result(timeout=30).status_code == 200
