from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from devices.models import Device, DeviceGroup, InstalledSoftware
from scheduling.models import Software
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store

pytestmark = pytest.mark.django_db
APT = {"os": "linux", "format": "apt", "package_name": "curl"}


def typed(*sources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The form as typed: by default an entry "Tool 1.0"."""
    given = {"name": "Tool", "version": "1.0", "sources": str(len(sources)), **fields}
    for number, source in enumerate(sources):
        given |= {f"source-{number}-{name}": value for name, value in source.items()}
    return given


def seen(device: Device, version: str, name: str = "Tool") -> None:
    InstalledSoftware.objects.create(
        device=device, name=name, version=version, seen_at=timezone.now()
    )


def test_the_empty_catalogue_says_what_to_do_first(as_admin: Client, as_operator: Client) -> None:
    assert "Add the first software" in as_admin.get("/software/").content.decode()
    assert "Ask an administrator" in as_operator.get("/software/").content.decode()


def test_the_list_is_searched_by_text_and_category(as_operator: Client, admin: User) -> None:
    factories.software(admin, name="Editor", category="Office", publisher="Quill")
    factories.software(admin, name="Backup", category="System")
    for query, expected in [
        ("", ["Backup", "Editor"]), ("?search=quill", ["Editor"]), ("?category=System", ["Backup"]),
    ]:  # fmt: skip
        rows = as_operator.get(f"/software/{query}").context["rows"]
        assert [one.name for one, devices in rows] == expected


def test_the_list_counts_the_devices_a_person_may_see(
    as_admin: Client, as_operator: Client, admin: User, web_group: DeviceGroup, web_device: Device
) -> None:
    factories.software(admin)
    seen(web_device, "1.0", name="tool")
    seen(factories.device(), "1.0")
    seen(factories.device(), "0.9")
    for client, number in ((as_admin, 2), (as_operator, 1)):
        ((_entry, devices),) = client.get("/software/").context["rows"]
        assert devices == number


def test_a_page_of_software_shows_which_device_has_which_version(
    as_operator: Client, admin: User, web_group: DeviceGroup, web_device: Device
) -> None:
    entry = factories.software(admin, sources=[APT])
    seen(web_device, "0.9")
    seen(factories.device("theirs"), "1.0")
    page = as_operator.get(entry.get_absolute_url()).content.decode()
    assert "web-1" in page
    assert "0 of 1 have this version" in page
    assert "theirs" not in page


def test_formats_that_were_not_tried_say_so(as_admin: Client, admin: User) -> None:
    form = as_admin.get("/software/new").content.decode()
    assert "RPM package (untested)" in form
    assert "Shell installer (untested on macOS)" in form
    assert "Debian package (untested" not in form
    at = {"url": "https://a.example/tool", "sha256": "0" * 64}
    sources = [
        {"os": "linux", "format": "dnf", "package_name": "curl", "architecture": "amd64"},
        *({"os": one, "format": "sh", **at} for one in ("linux", "macos")),
    ]
    page = as_admin.get(factories.software(admin, sources=sources).get_absolute_url())
    headings = re.findall(r"<h3>(.*?)</h3>", page.content.decode())
    tried = {one.split(":")[0]: "untested" not in one for one in headings}
    assert tried == {"Linux, amd64": False, "Linux, any": True, "macOS, any": False}


def test_an_entry_is_added_with_its_sources(as_admin: Client, admin: User, stored: Store) -> None:
    first = factories.software(admin, name="Library")
    file = stored(name="tool.pkg", user=admin)
    pkg = {
        "os": "macos", "format": "pkg", "file_id": str(file.pk), "success_exit_codes": "0, 7",
        "detect_command": "tool --version",
    }  # fmt: skip
    answer = as_admin.post(
        "/software/new",
        typed(APT, pkg, free_disk_mb="50", dependency_ids=[str(first.pk)], category="Office"),
    )
    entry = Software.objects.get(name="Tool")
    assert answer["Location"] == entry.get_absolute_url()
    assert (entry.category, entry.requirements) == ("Office", {"free_disk_mb": 50})
    assert list(entry.dependencies.all()) == [first]
    apt, given = entry.sources.all()
    assert (apt.format, apt.package_name, apt.architecture) == ("apt", "curl", "any")
    assert (given.file, given.success_exit_codes) == (file, [0, 7])


def test_a_source_nobody_filled_in_is_none(as_admin: Client) -> None:
    as_admin.post("/software/new", typed({"os": "linux", "architecture": "any"}, APT))
    assert Software.objects.get().sources.get().format == "apt"


def test_saving_an_entry_as_it_is_changes_nothing(
    as_admin: Client,
    admin: User,
    stored: Store,
) -> None:
    deb = {
        "os": "linux",
        "architecture": "amd64",
        "format": "deb",
        "file_id": stored(user=admin).pk,
    }
    at = {"os": "windows", "format": "msi", "url": "https://a.example/x.msi", "sha256": "0" * 64}
    entry = factories.software(
        admin, sources=[deb, at], requirements={"memory_mb": 512}, description="a\nb"
    )
    before = _state(entry)
    form = as_admin.get(f"/software/{entry.pk}/edit").context["form"]
    as_admin.post(f"/software/{entry.pk}/edit", dict(form.data.lists()))
    assert _state(Software.objects.get()) == before


@pytest.mark.parametrize(
    ("source", "field", "said"),
    [
        ({**APT, "package_name": "-rf"}, "package_name", "must be the name of a package"),
        ({"os": "linux", "format": "deb", "url": "ftp://x"}, "url", "must be an https:// address"),
        ({**APT, "architecture": "x" * 60}, "architecture", "from 0 to 50 characters"),
        ({**APT, "success_exit_codes": "one"}, "success_exit_codes", "must be a whole number"),
        ({"os": "linux", "format": "", "package_name": "x"}, "format", "must be one of"),
        ({**APT, "package_name": ""}, "format", "takes package_name"),
        ({"os": "windows", "format": "deb", "url": "https://x.example"}, "format", "is for linux"),
        (
            {"os": "linux", "format": "sh", "url": "https://x.example"},
            None,
            "url and sha256 belong",
        ),
    ],
)
def test_what_is_wrong_with_a_source_stands_beside_its_field(
    as_admin: Client, source: dict[str, str], field: str | None, said: str
) -> None:
    answer = as_admin.post("/software/new", typed({"os": "linux"}, source))
    errors = answer.context["form"].sources[1].errors
    assert said in str(errors[field or "__all__"])
    assert answer.context["form"].sources[0].errors == {}
    assert not Software.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"free_disk_mb": "much"}, "free_disk_mb"),
        ({"memory_mb": "0"}, "memory_mb"),
    ],
)
def test_what_is_wrong_with_an_entry_stands_beside_its_field(
    as_admin: Client, fields: dict[str, str], field: str
) -> None:
    answer = as_admin.post("/software/new", typed(APT, **fields))
    assert list(answer.context["form"].basics.errors) == [field]
    assert answer.context["form"].sources[0].given()["package_name"] == "curl"


def test_a_source_is_added_and_taken_away_and_nothing_typed_is_lost(as_admin: Client) -> None:
    brew = {"os": "macos", "format": "brew", "package_name": "wget"}
    form = as_admin.post("/software/new", typed(APT, brew, add_source="1")).context["form"]
    assert [one.given()["package_name"] for one in form.sources] == ["curl", "wget", ""]
    form = as_admin.post("/software/new", typed(APT, brew, remove_source="1")).context["form"]
    assert [one.given()["package_name"] for one in form.sources] == ["wget"]
    assert form.sources[0].given()["format"] == "brew"
    assert not Software.objects.exists()


def test_the_stored_file_of_a_source_is_searched_for(
    as_admin: Client, stored: Store, admin: User
) -> None:
    for name in ("one.deb", "two.deb", "three.rpm"):
        stored(name.encode(), name=name, user=admin)
    source = {"os": "linux", "format": "deb", "file_id_search": ".deb"}
    form = as_admin.post("/software/new", typed(source, look="1")).context["form"]
    assert [one.name for one in form.sources[0].picker.found] == ["two.deb", "one.deb"]


def test_only_administrators_keep_the_catalogue(as_operator: Client, admin: User) -> None:
    entry = factories.software(admin)
    for address in ("/software/new", f"/software/{entry.pk}/edit", f"/software/{entry.pk}/delete"):
        assert as_operator.get(address).status_code == 403
        assert as_operator.post(address, typed(name="Other")).status_code == 403
    assert list(Software.objects.values_list("name", flat=True)) == ["Tool"]


def test_deleting_says_where_it_stays_and_deletes(
    as_admin: Client, admin: User, web_device: Device
) -> None:
    entry = factories.software(admin)
    seen(web_device, "1.0")
    address = f"/software/{entry.pk}/delete"
    assert "on the 1 device that has it" in as_admin.get(address).content.decode()
    assert as_admin.post(address)["Location"] == "/software/"
    assert not Software.objects.exists()


def test_what_another_entry_needs_stays(as_admin: Client, admin: User) -> None:
    entry = factories.software(admin)
    factories.software(admin, name="App", dependency_ids=[str(entry.pk)])
    address = f"/software/{entry.pk}/delete"
    assert "the software App 1.0" in as_admin.get(address).content.decode()
    as_admin.post(address)
    assert Software.objects.filter(pk=entry.pk).exists()


def _state(entry: Software) -> Any:
    plain = ("name", "version", "publisher", "category", "description", "requirements")
    fields = [field.name for field in entry.sources.model._meta.fields if field.name != "id"]
    return [getattr(entry, name) for name in plain], list(entry.sources.values(*fields))
