from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from scheduling.catalogue import files
from scheduling.models import StoredFile
from tests import proxied

Store = Callable[..., StoredFile]
# apt-get install nginx-light: without it the tests that need one are not there.
collect_ignore = [] if proxied.program() else ["test_behind_nginx.py"]


@pytest.fixture(autouse=True)
def files_dir(settings: Any, tmp_path: Path) -> Path:
    """A store of the test's own."""
    settings.DEPLOYX_FILES_DIR = tmp_path / "files"
    local = {**settings.STORAGES["blobs"], "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "blobs": local}
    settings.DEPLOYX_FILES_FREE_BYTES = 0
    return tmp_path / "files"


@pytest.fixture
def stored(operator: User) -> Store:
    """Stores bytes as a file, the operator's unless `user` is given."""

    def make(content: bytes = b"hello\n", name: str = "motd", user: User = operator) -> StoredFile:
        return files.create(user, {"name": name}, iter([content]), len(content))

    return make


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
