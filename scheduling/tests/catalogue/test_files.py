"""Stored files: one copy of their bytes, limits, and when the bytes go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput, StateConflict, Unavailable
from devices.models import Device
from scheduling import pruning
from scheduling.catalogue import files, store
from scheduling.models import Blob, ExecutionBlob, ScheduledTask, SoftwareSource, StoredFile
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store, sha256

pytestmark = pytest.mark.django_db


def bytes_on_disk(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "blobs").rglob("*") if path.is_file())


def test_the_same_bytes_are_kept_once_under_their_digest(stored: Store, files_dir: Path) -> None:
    one, two = stored(b"abc", "..motd"), stored(b"abc", "other")
    assert one.blob == two.blob
    assert bytes_on_disk(files_dir) == [sha256(b"abc")]
    assert not list((files_dir / "drafts").iterdir())
    with store.opened(one.blob.sha256) as source:
        assert source.read() == b"abc"


def test_what_comes_in_one_request_is_not_read_again_for_its_digest(
    stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(store, "digest")
    assert stored(b"abc").blob.sha256 == sha256(b"abc")


def test_the_type_is_told_by_the_bytes(stored: Store) -> None:
    assert stored(b"MZ\x90\0", "notes.txt").blob.content_type.endswith("portable-executable")
    assert stored("grün\n".encode(), "program.exe").blob.content_type == "text/plain"


@pytest.mark.parametrize(
    "name", ["", "a\nb", "x" * 256, None, "/etc/passwd", "a/b", "../a", "a/", ".", "..", " .. "]
)
def test_a_file_has_a_name_that_devices_take(operator: User, name: object) -> None:
    with pytest.raises(InvalidInput, match="name"):
        files.create(operator, {"name": name}, iter([b"x"]), 1)
    assert not StoredFile.objects.exists()


def test_nobody_stores_more_than_their_share(stored: Store, operator: User, settings: Any) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 10
    stored(b"12345678")
    with pytest.raises(InvalidInput, match="2 bytes more"):
        stored(b"123")
    settings.DEPLOYX_UPLOAD_BYTES = 2
    with pytest.raises(files.TooLarge, match="at most 2 bytes"):
        stored(b"123")


def test_a_disk_that_is_nearly_full_takes_nothing(stored: Store, settings: Any) -> None:
    settings.DEPLOYX_FILES_FREE_BYTES = 2**60
    with pytest.raises(InvalidInput, match="no room"):
        stored()


def test_a_disk_that_fills_up_meanwhile_takes_no_more_of_it(
    stored: Store, settings: Any, files_dir: Path, operator: User
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"123"
        settings.DEPLOYX_FILES_FREE_BYTES = 2**60
        yield b"456"

    with pytest.raises(Unavailable, match="no room"):
        files.create(operator, {"name": "a"}, pieces(), 6)
    assert not list((files_dir / "drafts").iterdir())


def test_a_file_in_use_stays(
    stored: Store, operator: User, admin: User, web_device: Device
) -> None:
    file = stored()
    factories.group(devices=[web_device], people=[operator])
    task = factories.task(
        operator,
        devices=[web_device],
        task_type="file_deployment",
        task_payload={"file_ids": [str(file.pk)], "target_path": "/etc/motd"},
        name="Greeting",
    )
    with pytest.raises(StateConflict, match="the task Greeting"):
        files.delete(file, operator)
    task.delete()
    files.delete(file, operator)
    assert not StoredFile.objects.exists()


def test_a_file_of_the_catalogue_stays(stored: Store, admin: User) -> None:
    file = stored(user=admin)
    entry = factories.software(
        admin, sources=[{"os": "linux", "format": "sh", "file_id": str(file.pk)}]
    )
    with pytest.raises(StateConflict, match="the software Tool"):
        files.delete(file, admin)
    assert SoftwareSource.objects.get(software=entry).file == file


def test_bytes_nobody_refers_to_are_collected(
    stored: Store, files_dir: Path, operator: User
) -> None:
    kept, gone = stored(b"kept"), stored(b"gone")
    files.delete(gone, operator)
    now = timezone.now()
    assert files.collect(now) == 0  # they came just now: somebody may be about to refer to them
    assert files.collect(now + timedelta(hours=2)) == 1
    assert bytes_on_disk(files_dir) == [kept.blob.sha256]
    assert list(Blob.objects.all()) == [kept.blob]


def test_bytes_an_execution_may_fetch_are_kept_as_long_as_its_output(
    stored: Store, operator: User, files_dir: Path, task: ScheduledTask
) -> None:
    file = stored(b"held")
    execution = factories.execution(task, status="success")
    ExecutionBlob.objects.create(execution=execution, blob=file.blob)
    files.delete(file, operator)
    Blob.objects.update(created_at=timezone.now() - timedelta(days=40))
    pruning.prune()
    assert bytes_on_disk(files_dir) == [sha256(b"held")]
    type(execution).objects.update(completed_at=timezone.now() - timedelta(days=31))
    pruning.prune()
    assert bytes_on_disk(files_dir) == []


def test_bytes_that_were_collected_come_again(stored: Store, operator: User) -> None:
    first = stored(b"abc")
    files.delete(first, operator)
    files.collect(timezone.now() + timedelta(hours=2))
    again = stored(b"abc")
    assert store.is_kept(again.blob.sha256)
