from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices import groups
from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def members(group: DeviceGroup) -> list[str]:
    return sorted(group.devices.values_list("name", flat=True))


def test_no_group_says_what_one_is_for(as_admin: Client) -> None:
    page = as_admin.get("/groups/").content.decode()
    assert "Make the first group" in page


def test_the_list_counts_devices_and_people(as_admin: Client, web_group: DeviceGroup) -> None:
    web_group.devices.add(factories.device("away", online=False))
    ((_group, counts),) = as_admin.get("/groups/").context["rows"]
    assert (counts.devices, counts.online, counts.people) == (2, 1, 1)


def test_a_group_is_made(as_admin: Client) -> None:
    answer = as_admin.post("/groups/new", {"name": "kiosks", "description": "In the lobby"})
    group = DeviceGroup.objects.get()
    assert answer["Location"] == group.get_absolute_url()
    assert (group.name, group.description) == ("kiosks", "In the lobby")


def test_a_name_that_is_taken_is_refused_beside_its_field(
    as_admin: Client, web_group: DeviceGroup
) -> None:
    answer = as_admin.post("/groups/new", {"name": "web", "description": "kept"})
    assert answer.context["form"].errors["name"]
    assert "kept" in answer.content.decode()
    assert DeviceGroup.objects.count() == 1


def test_a_group_is_renamed(as_admin: Client, web_group: DeviceGroup) -> None:
    as_admin.post(f"/groups/{web_group.pk}/edit", {"name": "www", "description": ""})
    web_group.refresh_from_db()
    assert web_group.name == "www"


def test_ticked_devices_go_in_and_out(
    as_admin: Client, web_group: DeviceGroup, web_device: Device
) -> None:
    spare = factories.device("spare")
    address = f"/groups/{web_group.pk}/devices"
    as_admin.post(address, {"device_ids": [str(spare.pk)]})
    assert members(web_group) == ["spare", "web-1"]
    as_admin.post(address, {"device_ids": [str(web_device.pk)], "remove": "1"})
    assert members(web_group) == ["spare"]


def test_nobody_puts_in_a_device_that_is_not_theirs(
    as_operator: Client, web_group: DeviceGroup
) -> None:
    theirs = factories.device("theirs")
    as_operator.post(f"/groups/{web_group.pk}/devices", {"device_ids": [str(theirs.pk)]})
    assert members(web_group) == ["web-1"]


def test_a_group_is_given_to_a_person_and_taken_away(
    as_admin: Client, web_group: DeviceGroup, operator: User, outsider: User
) -> None:
    address = f"/groups/{web_group.pk}/people"
    as_admin.post(address, {"add": "outsider"})
    assert set(web_group.people.all()) == {operator, outsider}
    as_admin.post(address, {"remove": str(operator.pk)})
    assert set(web_group.people.all()) == {outsider}


def test_many_people_come_in_pages_of_their_own(as_admin: Client, web_group: DeviceGroup) -> None:
    web_group.people.set([factories.person(f"p{number:02}") for number in range(60)])
    web_group.devices.set([factories.device() for _number in range(30)])
    here = f"{web_group.get_absolute_url()}?page=2"
    first = as_admin.get(here).content.decode()
    assert first.count('id="person-') == 25
    assert "1–25 of 60" in first
    assert re.findall(r'<nav class="pages" aria-label="([^"]*)"', first) == [
        "Pages",
        "Pages of people",
    ]
    assert 'rel="next" href="?page=2&amp;people=2"' in first
    last = as_admin.get(f"{here}&people=3")
    assert [one.username for one in last.context["people"]] == [f"p{n}" for n in range(50, 60)]
    assert "26–30 of 30" in last.content.decode()
    sent = {"remove": str(last.context["people"][0].pk), "next": f"{here}&people=3"}
    answer = as_admin.post(f"/groups/{web_group.pk}/people", sent)
    assert answer["Location"] == sent["next"]
    assert web_group.people.count() == 59


def test_a_name_nobody_has_is_said(as_admin: Client, web_group: DeviceGroup) -> None:
    answer = as_admin.post(f"/groups/{web_group.pk}/people", {"add": "nobody"}, follow=True)
    assert "There is no person of this name." in answer.content.decode()


def test_a_group_leads_to_its_devices_in_the_list_and_to_adding_one(
    as_admin: Client, as_operator: Client, admin: User, web_group: DeviceGroup
) -> None:
    shown, added = f'"/devices/?group={web_group.pk}"', f'"/devices/new?group={web_group.pk}"'
    page = as_admin.get(web_group.get_absolute_url()).content.decode()
    assert shown in page
    assert added in page
    chosen = as_admin.get(added.strip('"')).content.decode()
    assert f'<option value="{web_group.pk}" selected>web</option>' in chosen
    assert added not in as_operator.get(web_group.get_absolute_url()).content.decode()
    by_query = groups.create(admin, {"name": "all", "kind": "dynamic", "query": "os = linux"})
    assert "/devices/new?group" not in as_admin.get(by_query.get_absolute_url()).content.decode()


def test_delete_names_what_loses_it_and_then_deletes(
    as_admin: Client, admin: User, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    web_group.people.add(admin)
    schedules.execute_now(admin, factories.definition(groups=[web_group]))
    address = f"/groups/{web_group.pk}/delete"
    page = as_admin.get(address).content.decode()
    assert "Its 1 device stays" in page
    assert "1 task loses it as a target." in page
    assert "1 person may no longer use its devices" in page
    assert as_admin.post(address)["Location"] == "/groups/"
    task.refresh_from_db()
    assert task.group_ids == []
