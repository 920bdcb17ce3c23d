"""What is kept of the software that runs found on a device."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from accounts.uuid7 import uuid7
from devices import queries
from devices.models import Device, InstalledSoftware
from scheduling import inventory, ledger
from scheduling.catalogue import software
from scheduling.models import Software
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
Found = tuple[Software, str | None]


@pytest.fixture
def device() -> Device:
    return factories.device()


@pytest.fixture
def ours(admin: User) -> Software:
    return factories.software(admin, publisher="Ours")


@pytest.fixture
def theirs(admin: User) -> Software:
    return factories.software(admin, publisher="Theirs")


def note(device: Device, *found: Found) -> None:
    told = [{"id": str(one.pk), "name": one.name, "version": version} for one, version in found]
    inventory.note(device.pk, uuid7(), {"installed": told}, timezone.now())


def kept(device: Device) -> list[Any]:
    return list(device.software.values_list("name", "publisher", "version", "catalogue_id"))


def test_two_publishers_may_call_theirs_the_same(
    device: Device, ours: Software, theirs: Software
) -> None:
    note(device, (ours, "1.0"))
    note(device, (theirs, "7"))
    expected = [("Tool", "Ours", "1.0", ours.pk), ("Tool", "Theirs", "7", theirs.pk)]
    assert kept(device) == expected
    for version in ("1.0", "7"):
        assert Device.objects.get(queries.parse(f"software.tool = {version}")) == device
    note(device, (ours, None))
    assert kept(device) == expected[1:]


def test_a_newer_version_takes_the_place_of_the_older(
    device: Device, admin: User, ours: Software
) -> None:
    newer = factories.software(admin, publisher="Ours", version="2.0")
    note(device, (ours, "1.0"))
    note(device, (newer, "2.0"))
    assert kept(device) == [("Tool", "Ours", "2.0", newer.pk)]


def test_a_run_that_failed_tells_what_it_found_as_well(
    device: Device, admin: User, ours: Software
) -> None:
    note(device, (ours, "1.0"))
    execution = factories.execution(factories.task(admin))
    run = factories.run(execution, device, status="running")
    told = [{"id": str(ours.pk), "name": ours.name, "version": None}]
    ledger.results([factories.result_of(run, "failed", detail={"installed": told})])
    assert kept(device) == []


def test_an_entry_under_another_name_or_publisher_is_there_once(
    device: Device, admin: User, ours: Software
) -> None:
    note(device, (ours, "1.0"))
    ours = software.update(ours, admin, {"name": "Kit", "publisher": "We"}, partial=True)
    note(device, (ours, "1.0"))
    assert kept(device) == [("Kit", "We", "1.0", ours.pk)]


def test_whose_it_was_is_known_once_the_entry_is_gone(
    device: Device, admin: User, ours: Software
) -> None:
    note(device, (ours, "1.0"))
    gone = ours.pk
    software.delete(ours, admin)
    ours.pk = gone
    note(device, (ours, "1.1"))
    assert kept(device) == [("Tool", "Ours", "1.1", gone)]
    note(device, (ours, None))
    assert not InstalledSoftware.objects.exists()


def test_pages_tell_the_publishers_apart(
    client: Client, admin: User, device: Device, ours: Software, theirs: Software
) -> None:
    client.force_login(admin)
    note(device, (ours, "1.0"))
    counts = {one.publisher: n for one, n in client.get("/software/").context["rows"]}
    assert counts == {"Ours": 1, "Theirs": 0}
    assert client.get(theirs.get_absolute_url()).context["page"].paginator.count == 0
    assert client.get(f"/software/{theirs.pk}/delete").context["devices"] == 0
    assert "<small>Ours</small>" in client.get(device.get_absolute_url()).content.decode()
