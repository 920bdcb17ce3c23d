"""`/api/devices`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from devices import fleet, groups
from devices.models import Device, DeviceGroup
from devices.tests.api.conftest import As
from devices.tests.conftest import make_device
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db
FIELDS = {
    "id", "name", "hostname", "os", "architecture", "agent_version", "status", "last_seen_at",
    "tags", "facts", "group_ids", "enrolled_at",
}  # fmt: skip


def names(client: APIClient, **query: str) -> list[str]:
    answer = client.get("/api/devices", query)
    assert answer.status_code == 200, answer.content
    return [one["name"] for one in answer.json()["results"]]


def test_a_device_is_shown_with_all_its_fields(
    as_: As, operator: User, device: Device, web_group: DeviceGroup
) -> None:
    shown = as_(operator).get(f"/api/devices/{device.pk}").json()
    assert set(shown) == FIELDS
    assert (shown["id"], shown["status"]) == (str(device.pk), "never_connected")
    assert shown["group_ids"] == [str(web_group.pk)]
    assert shown["enrolled_at"].endswith("Z")


def test_groups_of_others_are_not_told(
    as_: As, operator: User, admin: User, device: Device
) -> None:
    DeviceGroup.objects.create(name="secret").devices.add(device)
    assert len(as_(operator).get(f"/api/devices/{device.pk}").json()["group_ids"]) == 1
    assert len(as_(admin).get(f"/api/devices/{device.pk}").json()["group_ids"]) == 2


def test_everybody_sees_their_own(
    as_: As, admin: User, operator: User, outsider: User, device: Device, stranger: Device
) -> None:
    assert names(as_(admin)) == ["db-1", "web-1"]
    assert names(as_(operator)) == ["web-1"]
    assert names(as_(outsider)) == []


def test_a_device_in_two_groups_is_listed_once(as_: As, operator: User, device: Device) -> None:
    other = DeviceGroup.objects.create(name="canaries")
    other.people.add(operator)
    other.devices.add(device)
    assert names(as_(operator)) == ["web-1"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("patch", "", {"name": "mine"}),
        ("delete", "", None),
        ("post", "/revoke", None),
    ],
)
def test_an_outsider_finds_nothing(
    as_: As, outsider: User, device: Device, method: str, path: str, body: Any
) -> None:
    answer = getattr(as_(outsider), method)(f"/api/devices/{device.pk}{path}", body)
    assert answer.status_code == 404
    device.refresh_from_db()
    assert (device.name, device.revoked_at) == ("web-1", None)


@pytest.mark.parametrize(("method", "path"), [("delete", ""), ("post", "/revoke")])
def test_who_may_use_a_device_may_not_remove_it(
    as_: As, operator: User, device: Device, method: str, path: str
) -> None:
    answer = getattr(as_(operator), method)(f"/api/devices/{device.pk}{path}")
    assert answer.status_code == 403
    assert "administrator" in answer.json()["detail"]
    device.refresh_from_db()
    assert device.revoked_at is None


def test_without_credentials_there_is_a_401(device: Device) -> None:
    answer = APIClient().get("/api/devices")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


def test_a_device_is_named_and_tagged(as_: As, operator: User, device: Device) -> None:
    url = f"/api/devices/{device.pk}"
    answer = as_(operator).patch(url, {"name": "web 1", "tags": {"site": "Hamburg"}})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["tags"]) == ("web 1", {"site": "Hamburg"})
    assert answer.json() == as_(operator).get(url).json()


def test_a_device_is_not_moved_into_a_group_of_others(
    as_: As, admin: User, operator: User, device: Device
) -> None:
    given = {"name": "Secret", "kind": "dynamic", "query": "tag.site = berlin"}
    groups.create(admin, given)
    answer = as_(operator).patch(f"/api/devices/{device.pk}", {"tags": {"site": "berlin"}})
    assert (answer.status_code, "Secret" in answer.json()["detail"]) == (403, False)


def test_what_get_answered_may_be_sent_back(as_: As, operator: User, device: Device) -> None:
    url = f"/api/devices/{device.pk}"
    before = as_(operator).get(url).json()
    assert as_(operator).patch(url, before).json() == before


def test_every_wrong_field_is_named(as_: As, operator: User, device: Device) -> None:
    answer = as_(operator).patch(
        f"/api/devices/{device.pk}", {"name": "", "tags": {"a": 1}, "colour": "red"}
    )
    assert answer.status_code == 400
    assert set(answer.json()) == {"name", "tags", "colour"}


def test_a_change_to_what_has_changed_is_a_412(as_: As, operator: User, device: Device) -> None:
    client, url = as_(operator), f"/api/devices/{device.pk}"
    tag = client.get(url)["ETag"]
    assert client.patch(url, {"name": "a"}, headers={"If-Match": tag}).status_code == 200
    assert client.patch(url, {"name": "b"}, headers={"If-Match": tag}).status_code == 412


def test_a_device_is_revoked_once(as_: As, admin: User, device: Device, ledger: FakeLedger) -> None:
    first, second = (as_(admin).post(f"/api/devices/{device.pk}/revoke") for _ in range(2))
    assert (first.status_code, first.json()["status"]) == (200, "revoked")
    assert (second.status_code, second.json()["status"]) == (409, "revoked")
    assert ledger.revoked == [device.pk]


def test_a_device_is_deleted(as_: As, admin: User, device: Device, ledger: FakeLedger) -> None:
    pk = device.pk
    assert as_(admin).delete(f"/api/devices/{pk}").status_code == 204
    assert as_(admin).get(f"/api/devices/{pk}").status_code == 404
    assert ledger.forgotten == [pk]


def test_a_device_that_has_changed_is_not_deleted(as_: As, admin: User, device: Device) -> None:
    client, url = as_(admin), f"/api/devices/{device.pk}"
    tag = client.get(url)["ETag"]
    client.patch(url, {"name": "web 1"})
    assert client.delete(url, headers={"If-Match": tag}).status_code == 412
    assert Device.objects.exists()


def test_devices_are_found_by_what_they_are(
    as_: As, admin: User, device: Device, stranger: Device, web_group: DeviceGroup
) -> None:
    client = as_(admin)
    fleet.describe(device, admin, {"tags": {"site": "Hamburg", "raid": ""}})
    assert names(client, os="Linux") == ["web-1"]
    assert names(client, search="EXAMPLE.org") == ["web-1"]
    assert names(client, search="db") == ["db-1"]
    assert names(client, group=str(web_group.pk)) == ["web-1"]
    assert names(client, tag="site=Hamburg") == ["web-1"]
    assert names(client, tag="site=Kiel") == []
    assert names(client, tag="raid") == ["web-1"]
    assert names(client, ordering="-name") == ["web-1", "db-1"]


def test_devices_are_found_by_how_they_are(as_: As, admin: User) -> None:
    now = timezone.now()
    make_device("new")
    make_device("on", last_seen_at=now, is_online=True)
    make_device("off", last_seen_at=now)
    make_device("out", last_seen_at=now, is_online=True, revoked_at=now)
    found = {status: names(as_(admin), status=status) for status in Device.Status.values}
    assert found == {
        "online": ["on"], "offline": ["off"], "never_connected": ["new"], "revoked": ["out"],
    }  # fmt: skip
    for status, listed in found.items():
        assert Device.objects.get(name=listed[0]).status == status


def test_a_group_of_others_finds_nothing(as_: As, operator: User, device: Device) -> None:
    secret = DeviceGroup.objects.create(name="secret")
    secret.devices.add(device)
    assert names(as_(operator), group=str(secret.pk)) == []


@pytest.mark.parametrize(
    "wrong", [{"status": "gone"}, {"group": "web"}, {"ordering": "colour"}, {"page_size": "201"}]
)
def test_a_wrong_filter_is_named(as_: As, admin: User, wrong: dict[str, str]) -> None:
    answer = as_(admin).get("/api/devices", wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == set(wrong)


def test_a_list_costs_the_same_however_long_it_is(
    as_: As, admin: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        make_device(f"web-{number}")
    client = as_(admin)
    with django_assert_max_num_queries(5):
        assert len(names(client)) == 20


@pytest.mark.parametrize(
    ("scopes", "reading", "writing"),
    [
        (["devices:read"], 200, 403),
        (["devices:write"], 403, 200),
        (["tasks:read", "tasks:write"], 403, 403),
        (["admin"], 200, 200),
        ([], 200, 200),
    ],
)
def test_a_limited_token_opens_what_its_scopes_say(
    operator: User, device: Device, scopes: list[str], reading: int, writing: int
) -> None:
    _, key = tokens.issue(operator, "test", scopes)
    client = APIClient(headers={"Authorization": f"Bearer {key}"})
    url = f"/api/devices/{device.pk}"
    assert client.get(url).status_code == reading
    assert client.patch(url, {"name": "web 1"}).status_code == writing


def test_what_is_installed_is_searched_and_ordered(as_: As, operator: User, device: Device) -> None:
    for name, version in (("nginx", "1.24"), ("curl", "8.5"), ("nginx-common", "1.23")):
        device.software.create(name=name, version=version, seen_at=timezone.now())

    def found(**query: str) -> list[str]:
        listed = as_(operator).get(f"/api/devices/{device.pk}/software", query).json()["results"]
        return [one["name"] for one in listed]

    assert found() == ["curl", "nginx", "nginx-common"]
    assert found(search="NGINX", ordering="version") == ["nginx-common", "nginx"]
