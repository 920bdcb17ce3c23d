"""What is stored is on the disk before anything speaks of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from scheduling.tests.catalogue.conftest import Store, sha256

pytestmark = pytest.mark.django_db


def test_bytes_are_synced_before_their_name_and_the_folders_after_it(
    stored: Store, files_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    sync, replace = os.fsync, Path.replace

    def recorded_sync(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def recorded_replace(path: Path, target: Any) -> Path:
        done.append("named")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    stored(b"abc")
    digest = sha256(b"abc")
    folder = files_dir / "blobs" / digest[:2]
    content, inner, outer = (
        path.stat().st_ino for path in (folder / digest, folder, folder.parent)
    )
    # Synced once as a draft, which a resumed upload relies on, and once with its final mode.
    assert done == [content, content, "named", inner, outer]
