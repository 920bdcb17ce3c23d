"""`manage.py file upload --server`: over HTTP, in pieces, to a web process that really answers."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from accounts import tokens
from accounts.errors import Unavailable
from scheduling.catalogue import store
from scheduling.cli import tus
from scheduling.models import StoredFile, Upload
from scheduling.tests.catalogue.conftest import sha256
from scheduling.tests.cli.conftest import Manage

CONTENT = bytes(range(256)) * 10
Cut = Callable[[int], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "image").write_bytes(CONTENT)
    return tmp_path / "image"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tus, "PIECE_BYTES", 1_000)
    monkeypatch.setattr(tus, "PAUSES_SECONDS", ())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def address(live_server: Any, admin: User, monkeypatch: pytest.MonkeyPatch) -> str:
    _token, text = tokens.issue(admin, "laptop", ["tasks:write"])
    monkeypatch.setenv("DEPLOYX_TOKEN", text)
    return str(live_server.url)


@pytest.fixture
def cut_after(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """Breaks the line once so many requests went through; None mends it."""
    inner = tus._opener.open
    left = [10_000]

    def opened(request: urllib.request.Request, timeout: float) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionResetError("cut")
        return inner(request, timeout=timeout)

    monkeypatch.setattr(tus._opener, "open", opened)
    return lambda number: left.__setitem__(0, number)


def _unreadable(_path: Path) -> tuple[str, int]:
    raise Unavailable("The disk does not answer.")


def test_a_file_comes_in_pieces(manage: Manage, address: str, path: Path) -> None:
    said = manage("file", "upload", path, "--server", address, "--description", "ü", "--json")
    file = StoredFile.objects.get()
    assert said.json == {"id": str(file.pk), "name": "image"}
    assert (file.blob_id, file.description) == (sha256(CONTENT), "ü")


def test_called_again_after_a_cut_it_goes_on_where_it_stood(
    manage: Manage, address: str, path: Path, cut_after: Cut
) -> None:
    cut_after(2)
    said = manage("file", "upload", path, "--server", address)
    assert said.code == 1
    assert "Call this again" in said.err
    assert Upload.objects.get().received == 1_000
    cut_after(3)  # where it stands, and the two pieces that are left
    assert manage("file", "upload", path, "--server", address).code == 0
    assert StoredFile.objects.get().blob_id == sha256(CONTENT)
    assert Upload.objects.count() == 1


def test_bytes_that_are_all_there_become_the_file(
    manage: Manage, address: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(store, "digest", _unreadable)
        assert manage("file", "upload", path, "--server", address).code == 1
    assert Upload.objects.get().received == len(CONTENT)
    assert manage("file", "upload", path, "--server", address).code == 0
    assert StoredFile.objects.get().blob_id == sha256(CONTENT)
    assert Upload.objects.count() == 1


def test_what_the_server_forgot_is_begun_anew(
    manage: Manage, address: str, path: Path, cut_after: Cut
) -> None:
    cut_after(2)
    manage("file", "upload", path, "--server", address)
    Upload.objects.all().delete()
    cut_after(10)
    assert manage("file", "upload", path, "--server", address).code == 0
    assert StoredFile.objects.get().blob_id == sha256(CONTENT)


def test_what_the_server_refuses_is_said(
    manage: Manage, address: str, path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 10
    said = manage("file", "upload", path, "--server", address)
    assert (said.code, said.err) == (2, "file: Your files may take 10 bytes more.\n")
    monkeypatch.setenv("DEPLOYX_TOKEN", "wrong")
    assert manage("file", "upload", path, "--server", address).code == 2
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize("server", ["http://example.org", "ftp://localhost", "localhost", ""])
def test_a_token_goes_nowhere_in_the_clear(
    manage: Manage, path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYX_TOKEN", "secret")
    if not server:
        monkeypatch.setenv("DEPLOYX_TOKEN", "")
    said = manage("file", "upload", path, "--server", server or "http://localhost:1")
    assert (said.code, said.err[:7]) == (2, "server:")
    assert not StoredFile.objects.exists()
