"""`/api/software`."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from devices.models import DeviceGroup
from scheduling.models import Software, StoredFile
from scheduling.tests import factories
from scheduling.tests.api.conftest import client_of
from scheduling.tests.catalogue.conftest import Store, files_dir, stored

__all__ = ["files_dir", "stored"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("files_dir")]
DOOR = "/api/software"
APT = {"os": "linux", "format": "apt", "package_name": "curl"}


@pytest.fixture
def file(stored: Store, admin: User) -> StoredFile:
    return stored(user=admin)


@pytest.fixture
def entry(admin: User, file: StoredFile) -> Software:
    """With everything that an entry may have."""
    deb = {"os": "linux", "architecture": "amd64", "format": "deb", "file_id": str(file.pk)}
    address = "https://a.example/x.msi"
    msi = {"os": "windows", "format": "msi", "url": address, "sha256": "0" * 64}
    needed = factories.software(admin, name="Library")
    return factories.software(
        admin,
        publisher="Acme",
        category="Office",
        description="a\nb",
        requirements={"memory_mb": 512},
        dependency_ids=[str(needed.pk)],
        sources=[deb, {**msi, "success_exit_codes": [0, 7], "reboot_exit_codes": [3010]}],
    )


def of(entry: Software) -> str:
    return f"{DOOR}/{entry.pk}"


def names(api: APIClient, query: str = "") -> list[str]:
    return [one["name"] for one in api.get(DOOR + query).json()["results"]]


def test_the_catalogue_is_everybodys_to_read(outside: APIClient, entry: Software) -> None:
    shown = outside.get(of(entry)).json()
    assert set(shown) == {
        "id", "name", "version", "publisher", "category", "description", "dependency_ids",
        "requirements", "sources",
    }  # fmt: skip
    assert outside.get(DOOR).json()["results"] == [outside.get(f"{DOOR}/{one}").json() for one in (
        Software.objects.get(name="Library").pk, entry.pk,
    )]  # fmt: skip


def test_the_list_is_filtered(api: APIClient, admin: User, entry: Software) -> None:
    factories.software(admin, name="Backup", category="System", sources=[APT])
    for query, expected in [
        ("", ["Backup", "Library", "Tool"]),
        ("?search=acme", ["Tool"]),
        ("?search=LIB", ["Library"]),
        ("?category=office", ["Tool"]),
        ("?os=linux", ["Backup", "Tool"]),
        ("?os=windows", ["Tool"]),
        ("?os=macos", []),
        ("?ordering=-name", ["Tool", "Library", "Backup"]),
    ]:
        assert names(api, query) == expected, query


def test_what_get_answered_may_be_put_back(admin_api: APIClient, entry: Software) -> None:
    shown = admin_api.get(of(entry)).json()
    answer = admin_api.put(of(entry), shown, format="json")
    assert (answer.status_code, answer.json()) == (200, shown)
    assert admin_api.get(of(entry)).json() == shown


def test_what_put_leaves_out_gets_its_default(admin_api: APIClient, entry: Software) -> None:
    given = {"name": "Tool", "version": "2.0"}
    shown = admin_api.put(of(entry), given, format="json").json()
    assert {name: one for name, one in shown.items() if one} == {**given, "id": str(entry.pk)}


def test_patch_changes_what_is_given(admin_api: APIClient, entry: Software) -> None:
    shown = admin_api.get(of(entry)).json()
    answer = admin_api.patch(of(entry), {"category": "System"}, format="json")
    assert answer.json() == {**shown, "category": "System"}


def test_administrators_alone_keep_it(api: APIClient, entry: Software) -> None:
    given = {"name": "Other", "version": "1"}
    for answer in (
        api.post(DOOR, given, format="json"),
        api.put(of(entry), given, format="json"),
        api.patch(of(entry), given, format="json"),
        api.delete(of(entry)),
    ):
        assert answer.status_code == 403
    assert names(api) == ["Library", "Tool"]


def test_what_is_needed_stays(
    admin_api: APIClient, admin: User, entry: Software, web_group: DeviceGroup
) -> None:
    factories.task(
        admin,
        groups=[web_group],
        task_type="software_deployment",
        task_payload={"software_ids": [str(entry.pk)], "action": "install"},
    )
    for one in (entry, Software.objects.get(name="Library")):
        answer = admin_api.delete(of(one))
        assert (answer.status_code, answer.json()["status"]) == (409, "in_use")
    free: Any = admin_api.post(DOOR, {"name": "Free", "version": "1"}, format="json").json()
    assert admin_api.delete(f"{DOOR}/{free['id']}").status_code == 204
    assert names(admin_api) == ["Library", "Tool"]


def test_a_token_does_what_its_scopes_allow(admin: User, entry: Software) -> None:
    reader, writer = client_of(admin, "tasks:read"), client_of(admin, "tasks:write")
    stranger = client_of(admin, "devices:read", "devices:write")
    assert names(reader) == ["Library", "Tool"]
    assert stranger.get(DOOR).status_code == 403
    for refused in (reader, stranger):
        assert refused.delete(of(entry)).status_code == 403
    assert writer.delete(of(entry)).status_code == 204
