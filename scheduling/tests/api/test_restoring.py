"""`POST …/restore`: what a deployment of files replaced is put back."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from devices.models import Device
from scheduling import rollout, schedules
from scheduling.models import DeviceRun, Execution, StoredFile
from scheduling.tests import factories
from scheduling.tests.api.conftest import address
from scheduling.tests.catalogue.conftest import Store, files_dir, stored

__all__ = ["files_dir", "stored"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signer", "files_dir")]


@pytest.fixture
def file(stored: Store) -> StoredFile:
    return stored(b"new")


@pytest.fixture
def replaced(operator: User, web_device: Device, web_group: object, file: StoredFile) -> Execution:
    """On two devices, of which both keep what was there."""
    second = factories.device("web-2")
    factories.group(devices=[second], people=[operator])
    task = factories.by_hand(
        operator,
        devices=[web_device, second],
        task_type="file_deployment",
        task_payload={"file_ids": [str(file.pk)], "target_path": "/srv/"},
    )
    execution = schedules.execute(task, operator)
    rollout.advance(execution.pk)
    for run in execution.runs.filter(status="queued"):
        factories.carry_out(run)
    rollout.advance(execution.pk)
    DeviceRun.objects.update(detail={"kept": ["/srv/motd"]})
    return execution


def restored(api: APIClient, thing: Execution | DeviceRun) -> list[str]:
    """The devices that the answered execution puts something back on."""
    answer = api.post(address(thing, "restore"))
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["trigger"], shown["scheduled_for"]) == ("restore", None)
    made = Execution.objects.get(pk=shown["id"])
    assert made.user_id == shown["user_id"]
    return sorted(made.runs.values_list("device_name", flat=True))


def test_a_run_is_put_back_on_its_device_alone(api: APIClient, replaced: Execution) -> None:
    assert restored(api, replaced.runs.get(device_name="web-2")) == ["web-2"]


def test_an_execution_is_put_back_on_all_that_keep_something(
    api: APIClient, replaced: Execution
) -> None:
    assert restored(api, replaced) == ["web-1", "web-2"]


def test_where_nothing_is_kept_nothing_is_put_back(api: APIClient, replaced: Execution) -> None:
    DeviceRun.objects.update(detail={})
    for thing in (replaced, replaced.runs.get(device_name="web-2")):
        assert api.post(address(thing, "restore")).status_code == 409
    assert not Execution.objects.filter(trigger="restore").exists()


def test_an_outsider_finds_nothing_to_put_back(outside: APIClient, replaced: Execution) -> None:
    for thing in (replaced, replaced.runs.get(device_name="web-2")):
        assert outside.post(address(thing, "restore")).status_code == 404
    assert not Execution.objects.filter(trigger="restore").exists()
