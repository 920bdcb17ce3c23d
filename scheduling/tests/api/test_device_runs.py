"""`/api/devices/{id}/runs`."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from devices import fleet
from devices.models import Device, DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import client_of

pytestmark = pytest.mark.django_db


def test_a_device_shows_what_ran_on_it_newest_first(
    api: APIClient, task: ScheduledTask, web_device: Device
) -> None:
    ended = factories.run(factories.execution(task), web_device, status="succeeded")
    waits = factories.run(factories.execution(task), web_device)
    factories.run(factories.execution(task))
    results = api.get(f"/api/devices/{web_device.pk}/runs").json()["results"]
    newest_first = sorted([str(ended.pk), str(waits.pk)], reverse=True)
    assert [one["id"] for one in results] == newest_first
    assert {one["id"] for one in results if one["waiting_for"]} == {str(waits.pk)}


def test_its_runs_are_found_by_status(
    api: APIClient, task: ScheduledTask, web_device: Device
) -> None:
    factories.run(factories.execution(task), web_device, status="succeeded")
    lost = factories.run(factories.execution(task), web_device, status="lost")
    answer = api.get(f"/api/devices/{web_device.pk}/runs", {"status": "lost"}).json()
    assert [one["id"] for one in answer["results"]] == [str(lost.pk)]


def test_runs_of_other_peoples_tasks_are_not_shown(
    api: APIClient,
    admin_api: APIClient,
    admin: User,
    web_device: Device,
    web_group: DeviceGroup,
) -> None:
    theirs = factories.task(admin, devices=[web_device])
    factories.run(factories.execution(theirs), web_device)
    url = f"/api/devices/{web_device.pk}/runs"
    assert api.get(url).json()["count"] == 0
    assert admin_api.get(url).json()["count"] == 1


def test_an_outsider_finds_nothing(outside: APIClient, web_device: Device) -> None:
    assert outside.get(f"/api/devices/{web_device.pk}/runs").status_code == 404


def test_history_is_the_tasks_scopes_matter(
    operator: User, web_device: Device, web_group: DeviceGroup
) -> None:
    url = f"/api/devices/{web_device.pk}/runs"
    assert client_of(operator, "devices:read").get(url).status_code == 403
    assert client_of(operator, "tasks:read").get(url).status_code == 200


def test_a_revoked_device_keeps_its_history_in_sight(
    admin_api: APIClient, admin: User, task: ScheduledTask, web_device: Device
) -> None:
    factories.run(factories.execution(task), web_device, status="succeeded")
    fleet.revoke(web_device, admin)
    assert admin_api.get(f"/api/devices/{web_device.pk}/runs").json()["count"] == 1
