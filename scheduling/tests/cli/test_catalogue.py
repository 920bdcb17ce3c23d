"""`manage.py file` and `manage.py software`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rich.console import Console

from scheduling.catalogue import uploads
from scheduling.models import ScheduledTask, Software, StoredFile, Upload
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store, sha256
from scheduling.tests.cli.conftest import Manage

YAML = """\
name: Editor
version: "2.1"
category: Office
requirements:
  memory_mb: 256
sources:
  - os: linux
    format: apt
    package_name: nano
"""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_shows_how_far_an_upload_is(
    manage: Manage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(Console, "is_terminal", is_terminal)
    path = tmp_path / "motd[1]"
    path.write_bytes(bytes(2_000))
    said = manage("file", "upload", path, "--json")
    assert said.json["size"] == 2_000
    assert [text in said.err for text in ("motd[1]", "2.0/2.0 kB")] == [is_terminal] * 2


def test_a_file_is_uploaded_listed_shown_and_brought_back(manage: Manage, tmp_path: Path) -> None:
    path = tmp_path / "motd"
    path.write_bytes(b"hello\n")
    made = manage("file", "upload", path, "--description", "Hi", "--json").json
    assert (made["name"], made["sha256"]) == ("motd", sha256(b"hello\n"))
    assert [one["id"] for one in manage("file", "list", "--json").json] == [made["id"]]
    assert sha256(b"hello\n") in manage("file", "show", "motd").out
    back = tmp_path / "back"
    assert manage("file", "download", made["id"], "--output", back).code == 0
    assert back.read_bytes() == b"hello\n"


def test_uploads_under_way_are_listed_and_given_up(
    manage: Manage, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda: "n")
    assert manage("file", "uploads").out == "Nothing is being uploaded.\n"
    begun = uploads.begin(admin, {"name": "image.iso"}, 400)
    uploads.append(begun, 0, iter([bytes(100)]), 100)
    (listed,) = manage("file", "uploads", "--json").json
    assert (listed["name"], listed["received"], listed["size"]) == ("image.iso", 100, 400)
    assert "25 %" in manage("file", "uploads", "--search", "image").out
    assert manage("file", "cancel", "image.iso").code == 1
    assert Upload.objects.filter(pk=begun.pk).exists()
    assert "“image.iso” is cancelled" in manage("file", "cancel", "image.iso", "--yes").out
    assert not Upload.objects.filter(pk=begun.pk).exists()
    said = manage("file", "cancel", "image.iso", "--yes")
    assert (said.code, said.err) == (2, "upload: There is no upload “image.iso” under way.\n")


def test_nothing_on_this_machine_is_written_over(
    manage: Manage, stored: Store, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    said = manage("file", "download", stored().pk, "--output", there)
    assert (said.code, said.err[:7]) == (2, "output:")
    assert there.read_text() == "mine"


def test_what_cannot_be_read_or_is_too_large_is_refused(
    manage: Manage, tmp_path: Path, settings: Any
) -> None:
    said = manage("file", "upload", tmp_path)
    assert (said.code, said.err[:5]) == (2, "path:")
    settings.DEPLOYX_UPLOAD_BYTES = 2
    (tmp_path / "motd").write_bytes(b"hello")
    said = manage("file", "upload", tmp_path / "motd")
    assert (said.code, said.err[:5]) == (2, "file:")
    assert not StoredFile.objects.exists()


def test_files_of_others_are_not_there(manage: Manage, stored: Store, outsider: User) -> None:
    file = stored()
    for verb in (["show"], ["download"], ["delete", "--yes"]):
        said = manage("file", *verb, file.pk, "--user", "outsider")
        assert (said.code, said.err) == (2, f"file: There is no file “{file.pk}”.\n")
    assert StoredFile.objects.exists()


def test_a_file_in_use_stays_and_one_that_is_not_goes(
    manage: Manage, stored: Store, admin: User
) -> None:
    file = stored()
    deb = {"os": "linux", "format": "deb", "file_id": str(file.pk)}
    entry = factories.software(admin, sources=[deb])
    said = manage("file", "delete", "motd", "--yes")
    assert (said.code, said.err) == (1, "In use by the software Tool 1.0.\n")
    entry.delete()
    assert manage("file", "delete", "motd", "--yes").code == 0
    assert not StoredFile.objects.exists()


def test_software_is_added_from_options(manage: Manage, stored: Store, admin: User) -> None:
    factories.software(admin, name="Library")
    stored(name="tool.deb")
    arguments = [
        "Tool", "--version", "1.0", "--publisher", "Quill", "--free-disk-mb", "5",
        "--depends-on", "Library 1.0",
        "--source", "os=linux,format=deb,file=tool.deb,success_exit_codes=0/7",
        "--source", json.dumps({"os": "macos", "format": "brew", "package_name": "tool"}),
    ]  # fmt: skip
    made = manage("software", "add", *arguments, "--json").json
    assert (made["name"], made["publisher"], made["requirements"]) == (
        "Tool", "Quill", {"free_disk_mb": 5},
    )  # fmt: skip
    assert [one["format"] for one in made["sources"]] == ["deb", "brew"]
    assert made["sources"][0]["success_exit_codes"] == [0, 7]
    assert made["dependency_ids"] == [str(Software.objects.get(name="Library").pk)]


def test_software_is_added_from_a_file_of_yaml_or_json(manage: Manage, tmp_path: Path) -> None:
    (tmp_path / "editor.yaml").write_text(YAML)
    made = manage("software", "add", "--from-file", tmp_path / "editor.yaml", "--json").json
    assert (made["version"], made["requirements"]) == ("2.1", {"memory_mb": 256})
    # What is shown is what can be given again.
    (tmp_path / "again.json").write_text(json.dumps({**made, "version": "2.2"}))
    again = manage("software", "add", "--from-file", tmp_path / "again.json", "--json").json
    assert {**again, "id": "", "version": ""} == {**made, "id": "", "version": ""}


@pytest.mark.parametrize("text", ["name: [", "- a\n", "{nope", ""])
def test_a_file_that_is_no_entry_is_refused(manage: Manage, tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    said = manage("software", "add", "--from-file", tmp_path / "x")
    assert (said.code, said.err[:10]) == (2, "from_file:")


def test_edit_changes_what_is_given_and_nothing_else(manage: Manage, admin: User) -> None:
    apt = {"os": "linux", "format": "apt", "package_name": "tool"}
    factories.software(admin, sources=[apt], category="Office")
    changed = manage("software", "edit", "Tool 1.0", "--version", "1.1", "--json").json
    assert (changed["version"], changed["category"]) == ("1.1", "Office")
    assert changed["sources"][0]["package_name"] == "tool"


def test_every_wrong_field_is_named(manage: Manage) -> None:
    said = manage("software", "add", "Tool", "--source", "os=linux,format=deb", "--memory-mb", "-1")
    assert said.code == 2
    assert [line.split(":")[0] for line in said.err.splitlines()] == [
        "requirements", "sources", "version",
    ]  # fmt: skip
    assert not Software.objects.exists()


def test_the_catalogue_is_everybodys_to_read_and_administrators_to_keep(
    manage: Manage, admin: User, outsider: User
) -> None:
    factories.software(admin, category="Office")
    assert "Tool" in manage("software", "list", "--user", "outsider", "--category", "office").out
    said = manage("software", "delete", "Tool", "--yes", "--user", "outsider")
    assert (said.code, said.err) == (1, "Only an administrator may do this.\n")
    assert manage("software", "delete", "Tool", "--yes").code == 0
    assert not Software.objects.exists()


def test_tasks_of_files_are_planned_from_a_payload(
    manage: Manage, stored: Store, tmp_path: Path
) -> None:
    factories.device("web-1")
    payload = {"file_ids": [str(stored().pk)], "target_path": "/etc/motd"}
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    said = manage(
        "schedule", "add", "Greet", "--kind", "file_deployment", "--by-hand", "--device", "web-1",
        "--payload-file", tmp_path / "payload.json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert "1 file to /etc/motd" in said.out
    assert ScheduledTask.objects.get().task_type == "file_deployment"
