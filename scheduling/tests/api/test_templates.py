"""`/api/templates`."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from devices.models import DeviceGroup
from scheduling.models import TaskTemplate

pytestmark = pytest.mark.django_db
DOOR = "/api/templates"
GIVEN: dict[str, Any] = {
    "name": "Disk",
    "task_type": "command",
    "command_payload": {"command": "df -h"},
    "timeout_seconds": 60,
}


def test_it_holds_what_was_given_and_no_more(api: APIClient) -> None:
    made = api.post(DOOR, GIVEN, format="json")
    assert made.status_code == 201
    answer = made.json()
    assert answer["task_payload"]["command"] == "df -h"
    assert answer["timeout_seconds"] == 60
    assert "recurrence_type" not in answer
    assert api.get(f"{DOOR}/{answer['id']}").json() == answer


def test_what_get_answered_may_be_put_back(api: APIClient) -> None:
    answer = api.post(DOOR, GIVEN, format="json").json()
    again = api.put(f"{DOOR}/{answer['id']}", answer, format="json").json()
    assert {**again, "updated_at": ""} == {**answer, "updated_at": ""}


def test_instants_are_answered_as_everywhere(api: APIClient) -> None:
    bounds = {"start_at": "2027-01-01T01:00:00+01:00", "end_at": None}
    answer = api.post(DOOR, {**GIVEN, **bounds}, format="json").json()
    assert (answer["start_at"], answer["end_at"]) == ("2027-01-01T00:00:00Z", None)
    again = api.put(f"{DOOR}/{answer['id']}", answer, format="json").json()
    assert again["start_at"] == answer["start_at"]


def test_patch_changes_what_is_given(api: APIClient) -> None:
    answer = api.post(DOOR, GIVEN, format="json").json()
    changed = api.patch(f"{DOOR}/{answer['id']}", {"shared": True}, format="json").json()
    assert (changed["shared"], changed["timeout_seconds"]) == (True, 60)


def test_every_wrong_field_is_named(api: APIClient) -> None:
    wrong = {**GIVEN, "timeout_seconds": 0, "rollout": {"odd": 1}}
    answer = api.post(DOOR, wrong, format="json")
    assert answer.status_code == 400
    assert answer.json().keys() == {"timeout_seconds", "rollout"}


def test_the_list_searches(api: APIClient, web_group: DeviceGroup) -> None:
    api.post(DOOR, GIVEN, format="json")
    assert api.get(f"{DOOR}?search=DIS").json()["count"] == 1
    assert api.get(f"{DOOR}?search=odd").json()["count"] == 0


def test_others_find_nothing_until_it_is_shared_and_then_may_only_read(
    api: APIClient, outside: APIClient
) -> None:
    address = f"{DOOR}/{api.post(DOOR, GIVEN, format='json').json()['id']}"
    assert outside.get(address).status_code == 404
    assert outside.delete(address).status_code == 404
    api.patch(address, {"shared": True}, format="json")
    assert outside.get(address).status_code == 200
    assert outside.patch(address, {"name": "Mine"}, format="json").status_code == 403
    assert outside.delete(address).status_code == 403
    assert api.delete(address).status_code == 204
    assert not TaskTemplate.objects.exists()
