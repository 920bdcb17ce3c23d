"""`manage.py device` and `manage.py group`."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.tests import factories
from scheduling.tests.cli.conftest import Manage


def test_devices_are_listed_and_filtered(
    manage: Manage, web_group: DeviceGroup, web_device: Device
) -> None:
    factories.device("db-1", online=False)
    for arguments, expected in [
        ([], ["db-1", "web-1"]),
        (["--search", "WEB"], ["web-1"]),
        (["--group", "web"], ["web-1"]),
        (["--status", "offline"], ["db-1"]),
        (["--limit", "1"], ["db-1"]),
        (["--user", "operator"], ["web-1"]),
    ]:
        listed = manage("device", "list", "--json", *arguments).json
        assert [one["name"] for one in listed] == expected, arguments
    assert "web-1" in manage("device", "list").out


def test_a_device_shows_its_groups(manage: Manage, web_group: DeviceGroup) -> None:
    assert manage("device", "show", "web-1", "--json").json["group_ids"] == [str(web_group.pk)]
    assert "Groups" in manage("device", "show", "web-1").out


def test_tags_are_given_and_taken_away(manage: Manage, web_device: Device) -> None:
    manage("device", "tag", "web-1", "site=Hamburg", "role=web")
    tags = manage("device", "tag", "web-1", "site=Berlin", "--remove", "role", "--json").json[
        "tags"
    ]
    assert tags == {"site": "Berlin"}
    said = manage("device", "tag", "web-1", f"{'x' * 65}=1")
    assert (said.code, said.err[:5]) == (2, "tags:")


@pytest.mark.parametrize("verb", ["revoke", "delete"])
def test_who_is_in_the_fleet_is_for_administrators(
    manage: Manage, web_group: DeviceGroup, web_device: Device, verb: str
) -> None:
    assert manage("device", verb, "web-1", "--yes", "--user", "operator").code == 1
    web_device.refresh_from_db()
    assert web_device.revoked_at is None
    assert manage("device", verb, "web-1", "--yes").code == 0
    assert not Device.objects.present().exists()


def test_nothing_ends_where_nobody_agrees(
    manage: Manage, web_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *arguments: "n")
    said = manage("device", "revoke", "web-1")
    assert said.code == 1
    assert "web-1" in said.err
    web_device.refresh_from_db()
    assert web_device.revoked_at is None


def test_a_group_is_made_of_devices_and_people(
    manage: Manage, web_device: Device, operator: User
) -> None:
    made = manage(
        "group", "add", "kiosks", "--device", "web-1", "--person", "operator", "--json"
    ).json
    assert (made["device_ids"], made["people"]) == ([str(web_device.pk)], [operator.pk])
    assert "operator" in manage("group", "show", "kiosks").out
    said = manage("group", "edit", "kiosks", "--person", "nobody")
    assert (said.code, said.err) == (2, "people: There is no account “nobody”.\n")


def test_a_group_by_query_is_previewed_made_and_made_by_hand_again(
    manage: Manage, web_device: Device
) -> None:
    assert manage("group", "preview", "os = linux", "--json").json["device_count"] == 1
    made = manage("group", "add", "linux", "--query", "os = linux", "--json").json
    assert (made["kind"], made["device_count"]) == ("dynamic", 1)
    by_hand = manage("group", "edit", "linux", "--query", "", "--json").json
    assert (by_hand["kind"], by_hand["query"]) == ("static", None)


def test_a_query_that_cannot_be_read_is_refused(manage: Manage) -> None:
    for arguments in (["preview", "os ="], ["add", "x", "--query", "os ="]):
        said = manage("group", *arguments)
        assert (said.code, said.err[:6]) == (2, "query:")
    assert not DeviceGroup.objects.exists()


def test_edit_changes_what_is_given_and_nothing_else(
    manage: Manage, web_group: DeviceGroup, operator: User
) -> None:
    changed = manage("group", "edit", "web", "--name", "www", "--json").json
    assert (changed["name"], changed["device_count"]) == ("www", 1)
    assert changed["people"] == [operator.pk]


def test_deleting_a_group_names_what_loses_it(
    manage: Manage, web_group: DeviceGroup, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *arguments: "n")
    schedules.execute_now(operator, factories.definition(groups=[web_group]))
    asked = manage("group", "delete", "web").err
    assert "0 tasks lose it as a target, and 1 people the right" in " ".join(asked.split())
    assert manage("group", "delete", "web", "--yes").code == 0
    assert not DeviceGroup.objects.exists()
