"""Groups: who makes them, who may use them, and what is in them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput, NotAllowed
from devices import fleet, groups, membership
from devices.models import Device, DeviceGroup
from devices.tests.conftest import Told, make_device
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keeper(ledger: FakeLedger) -> None: ...


@pytest.fixture
def device(web_group: DeviceGroup) -> Device:
    """One that the operator may use."""
    made, _ = make_device("web-1")
    web_group.devices.add(made)
    return made


@pytest.fixture
def stranger() -> Device:
    """One that only administrators see."""
    return make_device("db-1")[0]


def test_an_administrator_makes_a_group(
    admin: User, operator: User, stranger: Device, told: Told
) -> None:
    group = groups.create(
        admin,
        {"name": "db", "description": "", "device_ids": [stranger.pk], "people": [operator.pk]},
    )
    assert list(group.devices.all()) == [stranger]
    assert list(DeviceGroup.objects.visible_to(operator)) == [group]
    assert list(Device.objects.visible_to(operator)) == [stranger]
    assert told == [("group", group.pk, set())]


def test_every_wrong_field_is_named_at_once(admin: User, web_group: DeviceGroup) -> None:
    with pytest.raises(InvalidInput) as refused:
        groups.create(
            admin,
            {
                "name": "web",
                "kind": "lively",
                "query": "os == linux",
                "device_ids": ["01a20fd9-e4fd-7456-ae63-fef3ff4a090f"],
                "people": [2**30],
                "colour": "red",
            },
        )
    errors = refused.value.errors
    assert set(errors) == {"name", "kind", "query", "device_ids", "people", "colour"}
    assert errors["kind"] == ["must be one of static, dynamic."]
    assert errors["query"] == ["Line 1, column 5: '= linux' is not expected here."]
    assert errors["name"] == ["Another group has this name."]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "we\nb", None, 7])
def test_a_group_has_a_name_of_one_line(admin: User, name: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        groups.create(admin, {"name": name})
    assert set(refused.value.errors) == {"name"}


def test_a_group_without_a_name_is_told_so(admin: User) -> None:
    with pytest.raises(InvalidInput, match="required"):
        groups.create(admin, {})


def test_what_is_left_out_stays_or_gets_its_default(
    admin: User, web_group: DeviceGroup, device: Device, operator: User
) -> None:
    groups.update(web_group, admin, {"description": "Racks 1 to 4"}, partial=True)
    assert (web_group.devices.get(), web_group.people.get()) == (device, operator)
    groups.update(web_group, admin, {"name": "web"}, partial=False)
    web_group.refresh_from_db()
    assert web_group.description == ""
    assert not web_group.devices.exists()
    assert not web_group.people.exists()


def test_what_was_read_may_be_written_back_by_whoever_may_use_the_group(
    operator: User, web_group: DeviceGroup, device: Device
) -> None:
    before = groups.as_input(web_group)
    groups.update(web_group, operator, before, partial=False)
    assert groups.as_input(web_group) == before


@pytest.mark.parametrize("change", [{"name": "mine"}, {"description": "mine"}, {"people": []}])
def test_who_may_use_a_group_changes_no_more_than_its_devices(
    operator: User, web_group: DeviceGroup, change: dict[str, Any]
) -> None:
    before = groups.as_input(web_group)
    with pytest.raises(NotAllowed):
        groups.update(web_group, operator, change, partial=True)
    web_group.refresh_from_db()
    assert groups.as_input(web_group) == before


def test_only_administrators_make_and_delete_groups(operator: User, web_group: DeviceGroup) -> None:
    with pytest.raises(NotAllowed):
        groups.create(operator, {"name": "mine"})
    with pytest.raises(NotAllowed):
        groups.delete(web_group, operator)
    assert DeviceGroup.objects.count() == 1


def test_a_device_moves_between_groups_of_ones_own(
    operator: User, web_group: DeviceGroup, device: Device, told: Told
) -> None:
    other = DeviceGroup.objects.create(name="canaries")
    other.people.add(operator)
    groups.add_devices(other, operator, [device.pk])
    groups.remove_devices(web_group, operator, [device.pk])
    assert list(device.groups.all()) == [other]
    assert told == [("group", other.pk, set()), ("group", web_group.pk, set())]


def test_adding_a_device_needs_the_right_on_the_device(
    operator: User, web_group: DeviceGroup, stranger: Device
) -> None:
    with pytest.raises(InvalidInput) as refused:
        groups.add_devices(web_group, operator, [stranger.pk])
    assert set(refused.value.errors) == {"device_ids"}
    with pytest.raises(InvalidInput):
        groups.update(web_group, operator, {"device_ids": [stranger.pk]}, partial=True)
    assert not stranger.groups.exists()


def test_adding_a_device_needs_the_right_on_the_group(operator: User, device: Device) -> None:
    other = DeviceGroup.objects.create(name="canaries")
    with pytest.raises(NotAllowed):
        groups.add_devices(other, operator, [device.pk])
    with pytest.raises(NotAllowed):
        groups.update(other, operator, {"device_ids": [device.pk]}, partial=True)
    with pytest.raises(NotAllowed):
        groups.remove_devices(other, operator, [device.pk])
    assert not other.devices.exists()


def test_what_an_administrator_put_in_may_stay_in_when_others_save(
    operator: User, web_group: DeviceGroup, device: Device, stranger: Device
) -> None:
    web_group.devices.add(stranger)
    groups.remove_devices(web_group, operator, [device.pk])
    assert list(web_group.devices.all()) == [stranger]


def test_a_device_that_enrols_while_others_are_changed_stays(
    admin: User, web_group: DeviceGroup, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer = make_device("web-2")[0]

    def enrols_first(*args: Any, **kwargs: Any) -> Any:
        web_group.devices.add(newcomer)
        return write(*args, **kwargs)

    write = groups._write
    monkeypatch.setattr(groups, "_write", enrols_first)
    groups.update(web_group, admin, {"device_ids": []}, partial=True)
    assert list(web_group.devices.all()) == [newcomer]


def test_a_deleted_group_leaves_the_target_lists_and_its_devices_stay(
    admin: User, web_group: DeviceGroup, device: Device, ledger: FakeLedger
) -> None:
    pk = web_group.pk
    groups.delete(web_group, admin)
    assert ledger.forgotten == [pk]
    assert list(Device.objects.all()) == [device]


@pytest.mark.parametrize("change", [{"name": "shop"}, {"description": "Racks"}, {"people": []}])
def test_open_pages_are_told_of_a_group_that_moved_no_device(
    admin: User, operator: User, web_group: DeviceGroup, told: Told, change: dict[str, Any]
) -> None:
    groups.update(web_group, admin, change, partial=True)
    assert told == [("group", web_group.pk, {operator.pk})]


def test_who_could_use_a_deleted_group_is_told(
    admin: User, operator: User, web_group: DeviceGroup, told: Told
) -> None:
    pk = web_group.pk
    groups.delete(web_group, admin)
    assert told == [("group", pk, {operator.pk})]


def test_the_groups_of_a_deleted_device_are_told_of(
    admin: User, web_group: DeviceGroup, device: Device, told: Told
) -> None:
    fleet.delete(device, admin)
    assert ("group", web_group.pk, set()) in told


def test_a_group_by_query_holds_what_the_query_finds(
    admin: User, web_group: DeviceGroup, device: Device, ledger: FakeLedger
) -> None:
    linux = make_device("linux", os="linux")[0]
    group = groups.create(admin, {"name": "All", "kind": "dynamic", "query": "os = linux"})
    assert list(group.devices.all()) == [linux]
    later = make_device("later", os="linux")[0]
    Device.objects.filter(pk=linux.pk).update(os="macos")
    membership.refresh_named([group.pk, web_group.pk])
    assert list(group.devices.all()) == [later]
    assert list(web_group.devices.all()) == [device]


def test_a_minute_later_it_is_brought_up_to_date(admin: User, ledger: FakeLedger) -> None:
    group = groups.create(admin, {"name": "All", "kind": "dynamic", "query": "os = linux"})
    make_device("linux", os="linux")
    assert membership.refresh_stale() == 0
    assert membership.refresh_stale(timezone.now() + timedelta(minutes=2)) == 1
    assert group.devices.count() == 1


def test_open_pages_are_told_of_a_group_by_query_when_whom_it_finds_changes(
    admin: User, told: Told
) -> None:
    group = groups.create(admin, {"name": "All", "kind": "dynamic", "query": "os = linux"})
    device = make_device("linux", os="linux")[0]
    for telling, change in ((1, {}), (0, {}), (1, {"os": "macos"})):
        told.clear()
        Device.objects.filter(pk=device.pk).update(**change or {"name": "same"})
        membership.refresh_named([group.pk])
        assert told == [("group", group.pk, set())] * telling


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"kind": "dynamic"}, {"query"}),
        ({"kind": "dynamic", "query": "os ="}, {"query"}),
        ({"kind": "static", "query": "os = linux"}, {"query"}),
        ({"query": 7}, {"query"}),
    ],
)
def test_kind_and_query_belong_together(
    admin: User, wrong: dict[str, Any], named: set[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        groups.create(admin, {"name": "All", **wrong})
    assert set(refused.value.errors) == named


def test_nobody_puts_devices_into_a_group_by_query(
    admin: User, device: Device, ledger: FakeLedger
) -> None:
    group = groups.create(admin, {"name": "All", "kind": "dynamic", "query": "os = beos"})
    for verb in (groups.add_devices, groups.remove_devices):
        with pytest.raises(InvalidInput, match="follow from it"):
            verb(group, admin, [device.pk])
    with pytest.raises(InvalidInput, match="device_ids"):
        groups.update(group, admin, {"device_ids": [str(device.pk)]}, partial=True)


def test_turned_static_it_keeps_whom_it_has(admin: User, ledger: FakeLedger) -> None:
    device = make_device("linux", os="linux")[0]
    group = groups.create(admin, {"name": "All", "kind": "dynamic", "query": "os = linux"})
    groups.update(group, admin, {"kind": "static", "query": None}, partial=True)
    assert list(group.devices.all()) == [device]


def test_what_a_query_finds_is_shown_before_it_is_written(operator: User, device: Device) -> None:
    make_device("hidden", os="linux")
    Device.objects.filter(pk=device.pk).update(os="linux")
    found = groups.preview(operator, {"query": "os = linux"})
    assert (found.device_count, found.devices) == (1, [device])
