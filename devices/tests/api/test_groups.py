"""`/api/groups`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from devices.models import Device, DeviceGroup
from devices.tests.api.conftest import As
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db


def test_a_group_is_made_and_shown(as_: As, admin: User, operator: User, stranger: Device) -> None:
    wanted = {
        "name": "db",
        "description": "Racks 1 to 4",
        "kind": "static",
        "device_ids": [str(stranger.pk)],
        "people": [operator.pk],
    }
    answer = as_(admin).post("/api/groups", wanted)
    assert answer.status_code == 201
    shown = answer.json()
    assert shown == {**wanted, "id": shown["id"], "query": None, "device_count": 1}
    assert as_(operator).get(f"/api/groups/{shown['id']}").json() == shown


def test_a_group_is_made_once_however_often_it_is_sent(as_: As, admin: User) -> None:
    first, second = (
        as_(admin).post("/api/groups", {"name": "db"}, headers={"Idempotency-Key": "one"})
        for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()


def test_every_wrong_field_is_named(as_: As, admin: User, web_group: DeviceGroup) -> None:
    wrong = {
        "name": "web",
        "kind": "lively",
        "device_ids": ["web-1"],
        "people": "operator",
        "colour": "red",
    }
    answer = as_(admin).post("/api/groups", wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == set(wrong)


@pytest.mark.parametrize(
    ("query", "status"), [("tag.99999999999", 200), ("facts" + ".a" * 900, 400)]
)
def test_an_odd_query_is_answered(as_: As, admin: User, query: str, status: int) -> None:
    answer = as_(admin).post("/api/groups/preview", {"query": query})
    assert answer.status_code == status
    assert status == 200 or set(answer.json()) == {"query"}


def test_everybody_sees_their_own(
    as_: As, admin: User, operator: User, outsider: User, web_group: DeviceGroup
) -> None:
    DeviceGroup.objects.create(name="db")
    listed = [
        [one["name"] for one in as_(user).get("/api/groups").json()["results"]]
        for user in (admin, operator, outsider)
    ]
    assert listed == [["db", "web"], ["web"], []]


def test_groups_are_found_by_name_and_ordered_by_size(
    as_: As, admin: User, web_group: DeviceGroup, device: Device
) -> None:
    DeviceGroup.objects.create(name="db")
    found = as_(admin).get("/api/groups", {"search": "WE"}).json()["results"]
    assert [one["name"] for one in found] == ["web"]
    found = as_(admin).get("/api/groups", {"ordering": "-device_count"}).json()["results"]
    assert [one["device_count"] for one in found] == [1, 0]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_an_outsider_finds_nothing(
    as_: As, outsider: User, web_group: DeviceGroup, method: str
) -> None:
    answer = getattr(as_(outsider), method)(f"/api/groups/{web_group.pk}", {"name": "mine"})
    assert answer.status_code == 404
    assert DeviceGroup.objects.get().name == "web"


def test_who_may_use_a_group_may_not_make_rename_or_delete_one(
    as_: As, operator: User, web_group: DeviceGroup
) -> None:
    client, url = as_(operator), f"/api/groups/{web_group.pk}"
    refused = [
        client.post("/api/groups", {"name": "mine"}),
        client.patch(url, {"name": "mine"}),
        client.patch(url, {"people": []}),
        client.delete(url),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4
    assert DeviceGroup.objects.get().name == "web"


def test_who_may_use_a_group_takes_devices_out_of_it(
    as_: As, operator: User, web_group: DeviceGroup, device: Device
) -> None:
    answer = as_(operator).patch(f"/api/groups/{web_group.pk}", {"device_ids": []})
    assert (answer.status_code, answer.json()["device_count"]) == (200, 0)


def test_a_device_that_one_does_not_see_cannot_be_added(
    as_: As, operator: User, web_group: DeviceGroup, stranger: Device
) -> None:
    client, url = as_(operator), f"/api/groups/{web_group.pk}"
    unseen = client.patch(url, {"device_ids": [str(stranger.pk)]})
    unknown = client.patch(url, {"device_ids": ["01a20fd9-e4fd-7456-ae63-fef3ff4a090f"]})
    assert (unseen.status_code, unknown.status_code) == (400, 400)
    assert set(unseen.json()) == set(unknown.json()) == {"device_ids"}


def test_put_of_what_get_answered_changes_nothing(
    as_: As, admin: User, web_group: DeviceGroup, device: Device
) -> None:
    client, url = as_(admin), f"/api/groups/{web_group.pk}"
    before = client.get(url)
    after = client.put(url, before.json(), headers={"If-Match": before["ETag"]})
    assert (after.status_code, after.json(), after["ETag"]) == (
        200,
        before.json(),
        before["ETag"],
    )


def test_put_resets_what_it_leaves_out(as_: As, admin: User, web_group: DeviceGroup) -> None:
    answer = as_(admin).put(f"/api/groups/{web_group.pk}", {"name": "www"})
    assert (answer.json()["name"], answer.json()["people"]) == ("www", [])


def test_a_deleted_group_leaves_the_target_lists(
    as_: As, admin: User, web_group: DeviceGroup, ledger: FakeLedger
) -> None:
    assert as_(admin).delete(f"/api/groups/{web_group.pk}").status_code == 204
    assert ledger.forgotten == [web_group.pk]


def test_a_list_costs_the_same_however_long_it_is(
    as_: As, admin: User, device: Device, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        DeviceGroup.objects.create(name=f"group {number}").devices.add(device)
    client = as_(admin)
    with django_assert_max_num_queries(5):
        assert len(client.get("/api/groups").json()["results"]) == 21
