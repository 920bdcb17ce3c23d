from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from devices import enrollment, groups
from devices.models import Device, DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.administration.conftest import Act, said, url


def test_a_device_is_renamed_and_tagged(office: Client, web_device: Device) -> None:
    given = {"name": "web-one", "tags": '{"role": "web"}'}
    assert office.post(url(Device, "change", web_device.pk), given).status_code == 302
    web_device.refresh_from_db()
    assert (web_device.name, web_device.tags) == ("web-one", {"role": "web"})


def test_what_the_verb_refuses_is_a_message(office: Client, web_device: Device) -> None:
    given = {"name": "web-one", "tags": '["role"]'}
    response = office.post(url(Device, "change", web_device.pk), given, follow=True)
    assert said(response)[0].startswith("tags: ")
    web_device.refresh_from_db()
    assert web_device.name == "web-1"


def test_revoking_ends_the_devices_runs(
    office: Client, task: ScheduledTask, web_device: Device, act: Act
) -> None:
    run = factories.run(factories.execution(task), web_device, status="running")
    assert said(act(office, "revoke", web_device)) == ["1 devices are revoked."]
    run.refresh_from_db()
    assert run.status == "lost"


def test_deleting_a_device_takes_it_off_every_target_list(
    office: Client, admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device])
    office.post(url(Device, "delete", web_device.pk), {"post": "yes"})
    task.refresh_from_db()
    assert (task.device_ids, Device.objects.count()) == ([], 0)


def test_a_group_is_written_with_its_devices_and_people(
    office: Client, web_device: Device, operator: User
) -> None:
    given: dict[str, Any] = {
        "name": "frontends",
        "description": "",
        "kind": "static",
        "devices": str(web_device.pk),
        "people": [operator.pk],
    }
    assert office.post(url(DeviceGroup, "add"), given).status_code == 302
    group = DeviceGroup.objects.get()
    assert (list(group.devices.all()), list(group.people.all())) == ([web_device], [operator])
    given |= {"devices": "", "name": "frontend"}
    office.post(url(DeviceGroup, "change", group.pk), given)
    group.refresh_from_db()
    assert (group.name, group.devices.count(), group.people.count()) == ("frontend", 0, 1)


def by_query(**changes: Any) -> dict[str, Any]:
    """The add page of groups, filled in for a group by query."""
    return {"name": "linux", "description": "", "kind": "dynamic", "query": "os = linux", **changes}


def test_a_group_by_query_is_written(office: Client, web_device: Device) -> None:
    assert office.post(url(DeviceGroup, "add"), by_query()).status_code == 302
    group = DeviceGroup.objects.get()
    assert (group.query, list(group.devices.all())) == ("os = linux", [web_device])
    assert "os = linux" in office.get(url(DeviceGroup, "change", group.pk)).content.decode()


def test_a_group_by_query_with_members_is_renamed(
    office: Client, admin: User, web_device: Device
) -> None:
    group = groups.create(admin, by_query())
    office.post(url(DeviceGroup, "change", group.pk), by_query(name="every linux"))
    group.refresh_from_db()
    assert (group.name, list(group.devices.all())) == ("every linux", [web_device])


def test_a_group_changes_its_kind(office: Client, web_device: Device) -> None:
    given = {"name": "web", "kind": "static", "devices": str(web_device.pk)}
    office.post(url(DeviceGroup, "add"), given)
    group = DeviceGroup.objects.get()
    page = url(DeviceGroup, "change", group.pk)
    office.post(page, by_query(devices=str(web_device.pk), query="os = windows"))
    assert not group.devices.exists()
    office.post(page, by_query(query="os = linux"))
    office.post(page, by_query(kind="static", query=""))
    group.refresh_from_db()
    assert (group.kind, group.query, list(group.devices.all())) == ("static", "", [web_device])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"query": ""}, "A group by query needs one."),
        ({"query": "os ="}, "The query ends too soon."),
        ({"kind": "static"}, "Only a dynamic group has a query."),
    ],
)
def test_a_wrong_query_is_said_beside_it(office: Client, typed: dict[str, str], said: str) -> None:
    response = office.post(url(DeviceGroup, "add"), by_query(**typed))
    (message,) = response.context["adminform"].form.errors.pop("query")
    assert said in message
    assert response.context["adminform"].form.errors == {}


def test_deleting_a_group_takes_it_off_every_target_list(
    office: Client, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    office.post(url(DeviceGroup, "delete", web_group.pk), {"post": "yes"})
    task.refresh_from_db()
    assert task.group_ids == []


def test_staff_may_not_widen_a_group(clerk: Client, web_group: DeviceGroup, operator: User) -> None:
    stranger = factories.device("stranger")
    given = {
        "name": web_group.name,
        "description": "",
        "kind": "static",
        "devices": ",".join(str(one.pk) for one in (stranger, web_group.devices.get())),
        "people": [operator.pk],
    }
    clerk.post(url(DeviceGroup, "change", web_group.pk), given)
    assert stranger not in web_group.devices.all()


def test_tokens_are_revoked(office: Client, admin: User, web_group: DeviceGroup, act: Act) -> None:
    token, key = tokens.issue(admin, "script")
    act(office, "revoke", token)
    assert tokens.find(key) is None
    machine, _text = enrollment.issue(group=web_group, created_by=admin)
    assert said(act(office, "revoke", machine)) == ["1 tokens are revoked."]
    (message,) = said(act(office, "revoke", machine))
    assert "revoked already" in message


def test_autocompletion_offers_only_what_is_visible(
    clerk: Client, task: ScheduledTask, admin: User
) -> None:
    factories.task(admin, name="Foreign disk")
    query = {
        "term": "disk",
        "app_label": "scheduling",
        "model_name": "taskdependency",
        "field_name": "parent",
    }
    answer = json.loads(clerk.get("/admin/autocomplete/", query).content)
    assert [one["text"] for one in answer["results"]] == ["Disk space"]
