"""`/api/files`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from devices.models import DeviceGroup
from scheduling.models import StoredFile
from scheduling.tests import factories
from scheduling.tests.api.conftest import client_of
from scheduling.tests.catalogue.conftest import files_dir, sha256, stored

__all__ = ["files_dir", "stored"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("files_dir")]
DOOR = "/api/files"


def part(content: bytes = b"hello\n", name: str = "motd") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def made(api: APIClient, *given: Any) -> dict[str, Any]:
    answer = api.post(DOOR, {"file": part(*given)}, format="multipart")
    assert answer.status_code == 201
    shown: dict[str, Any] = answer.json()
    return shown


def names(api: APIClient, query: str = "") -> list[str]:
    return [one["name"] for one in api.get(DOOR + query).json()["results"]]


def test_a_file_is_stored_and_shown(api: APIClient) -> None:
    shown = made(api)
    assert set(shown) == {
        "id", "name", "size", "sha256", "content_type", "description", "created_at",
    }  # fmt: skip
    assert (shown["name"], shown["size"]) == ("motd", 6)
    assert (shown["sha256"], shown["content_type"]) == (sha256(b"hello\n"), "text/plain")
    assert api.get(f"{DOOR}/{shown['id']}").json() == shown


def test_the_list_is_filtered_and_ordered(api: APIClient) -> None:
    for name in ("b.conf", "a.conf", "motd"):
        made(api, name.encode(), name)
    for query, expected in [
        ("", ["motd", "a.conf", "b.conf"]),
        ("?search=CONF&ordering=name", ["a.conf", "b.conf"]),
        (f"?sha256={sha256(b'motd').upper()}", ["motd"]),
        ("?search=nothing", []),
    ]:
        assert names(api, query) == expected


def test_a_file_is_its_owners_and_administrators(
    api: APIClient, outside: APIClient, admin_api: APIClient
) -> None:
    address = f"{DOOR}/{made(api)['id']}"
    assert (names(outside), names(admin_api)) == ([], ["motd"])
    assert outside.get(address).status_code == 404
    assert outside.patch(address, {"name": "x"}, format="json").status_code == 404
    assert outside.delete(address).status_code == 404
    assert names(api) == ["motd"]


def test_name_and_description_change_and_nothing_else(api: APIClient) -> None:
    shown = made(api)
    changed = {**shown, "name": "issue", "description": "a\nb", "size": 1, "sha256": "0" * 64}
    answer = api.patch(f"{DOOR}/{shown['id']}", changed, format="json")
    assert answer.json() == {**shown, "name": "issue", "description": "a\nb"}


def test_one_in_use_stays(api: APIClient, operator: User, web_group: DeviceGroup) -> None:
    shown = made(api)
    factories.task(
        operator,
        groups=[web_group],
        task_type="file_deployment",
        task_payload={"file_ids": [shown["id"]], "target_path": "/etc/motd"},
    )
    answer = api.delete(f"{DOOR}/{shown['id']}")
    assert (answer.status_code, answer.json()["status"]) == (409, "in_use")
    assert StoredFile.objects.exists()


def test_one_that_nothing_uses_goes(api: APIClient) -> None:
    address = f"{DOOR}/{made(api)['id']}"
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


def test_a_token_does_what_its_scopes_allow(api: APIClient, operator: User) -> None:
    address = f"{DOOR}/{made(api)['id']}"
    reader, writer = client_of(operator, "tasks:read"), client_of(operator, "tasks:write")
    stranger = client_of(operator, "devices:read", "devices:write")
    assert names(reader) == ["motd"]
    for refused in (reader, stranger):
        assert refused.delete(address).status_code == 403
        answer = refused.post(DOOR, {"file": part()}, format="multipart")
        assert answer.status_code == 403
    assert stranger.get(DOOR).status_code == 403
    assert writer.delete(address).status_code == 204
