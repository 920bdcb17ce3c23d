"""Naming, tagging, revoking and deleting devices."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from accounts.errors import InvalidInput, NotAllowed, StateConflict
from devices import fleet, groups, membership
from devices.models import Device, DeviceGroup
from devices.tests.conftest import Told, make_device
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db


@pytest.fixture
def device(ledger: FakeLedger, web_group: DeviceGroup) -> Device:
    made, _ = make_device("web-1", is_online=True)
    web_group.devices.add(made)
    return made


def test_whoever_may_use_a_device_names_and_tags_it(
    device: Device, operator: User, told: Told
) -> None:
    fleet.describe(device, operator, {"name": " db 1 ", "tags": {"site": "Hamburg", "raid": ""}})
    device.refresh_from_db()
    assert (device.name, device.tags) == ("db 1", {"site": "Hamburg", "raid": ""})
    assert told == [("device", device.pk, set())]


def test_what_is_not_given_stays(device: Device, operator: User) -> None:
    fleet.describe(device, operator, {"tags": {"site": "Hamburg"}})
    fleet.describe(device, operator, {"name": "db 1"})
    device.refresh_from_db()
    assert (device.name, device.tags) == ("db 1", {"site": "Hamburg"})


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"name": "", "tags": []}, {"name", "tags"}),
        ({"name": "x" * 201}, {"name"}),
        ({"name": "web\u202e1"}, {"name"}),
        ({"name": "web\n1"}, {"name"}),
        ({"name": 7}, {"name"}),
        ({"tags": {"": "x"}}, {"tags"}),
        ({"tags": {"site": 7}}, {"tags"}),
        ({"tags": {"site": "x" * 201}}, {"tags"}),
        ({"tags": {str(number): "" for number in range(51)}}, {"tags"}),
        ({"public_key": "mine", "name": "web"}, {"public_key"}),
    ],
)
def test_a_wrong_description_is_refused_whole(
    device: Device, operator: User, data: dict[str, Any], wrong: set[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        fleet.describe(device, operator, data)
    assert set(refused.value.errors) == wrong
    device.refresh_from_db()
    assert (device.name, device.tags) == ("web-1", {})


BERLIN = {"tags": {"site": "berlin"}}


def by_query(admin: User, query: str, *people: User) -> DeviceGroup:
    given = {"name": "Secret", "kind": "dynamic", "query": query}
    return groups.create(admin, {**given, "people": [one.pk for one in people]})


@pytest.mark.parametrize("query", ["tag.site = berlin", "not tag.site", 'name = "web-1"'])
def test_nobody_moves_a_device_into_or_out_of_a_group_of_others(
    device: Device, operator: User, admin: User, query: str
) -> None:
    group = by_query(admin, query)
    before = set(group.devices.all())
    with pytest.raises(NotAllowed, match="into or out of a group of other people") as refused:
        fleet.describe(device, operator, {"name": "db 1", **BERLIN})
    assert "Secret" not in refused.value.detail
    device.refresh_from_db()
    assert (device.name, device.tags) == ("web-1", {})
    fleet.describe(device, admin, {"name": "db 1", **BERLIN})
    membership.refresh_named([group.pk])
    assert set(group.devices.all()) != before


def test_whoever_may_use_the_group_as_well_moves_the_device_there(
    device: Device, operator: User, admin: User
) -> None:
    group = by_query(admin, "tag.site = berlin", operator)
    fleet.describe(device, operator, BERLIN)
    membership.refresh_named([group.pk])
    assert list(group.devices.all()) == [device]


def test_what_moves_it_nowhere_is_as_before(device: Device, operator: User, admin: User) -> None:
    by_query(admin, 'tag.site = berlin or name = "web-1"')
    fleet.describe(device, operator, BERLIN)
    DeviceGroup.objects.filter(name="Secret").update(query="(of another version")
    fleet.describe(device, operator, {"name": "db 1"})
    device.refresh_from_db()
    assert (device.name, device.tags) == ("db 1", BERLIN["tags"])


def test_a_revoked_device_stays_with_its_name_and_its_runs_are_ended(
    device: Device, admin: User, ledger: FakeLedger
) -> None:
    fleet.revoke(device, admin)
    device.refresh_from_db()
    assert device.status == Device.Status.REVOKED
    assert not device.is_online
    assert ledger.revoked == [device.pk]
    assert not Device.objects.present().exists()


def test_a_device_is_revoked_once(device: Device, admin: User, ledger: FakeLedger) -> None:
    fleet.revoke(device, admin)
    with pytest.raises(StateConflict) as refused:
        fleet.revoke(device, admin)
    assert refused.value.status == "revoked"
    assert ledger.revoked == [device.pk]


def test_a_deleted_device_is_forgotten_and_its_runs_are_ended(
    device: Device, admin: User, ledger: FakeLedger
) -> None:
    pk = device.pk
    fleet.delete(device, admin)
    assert not Device.objects.exists()
    assert (ledger.revoked, ledger.forgotten) == ([pk], [pk])


def test_a_revoked_device_may_be_deleted(device: Device, admin: User) -> None:
    fleet.delete(fleet.revoke(device, admin), admin)
    assert not Device.objects.exists()


def test_only_administrators_decide_who_is_in_the_fleet(
    device: Device, operator: User, ledger: FakeLedger
) -> None:
    for verb in (fleet.revoke, fleet.delete):
        with pytest.raises(NotAllowed):
            verb(device, operator)
    device.refresh_from_db()
    assert device.revoked_at is None
    assert not ledger.revoked


def test_a_deactivated_administrator_decides_nothing(device: Device, admin: User) -> None:
    admin.is_active = False
    with pytest.raises(NotAllowed):
        fleet.revoke(device, admin)
