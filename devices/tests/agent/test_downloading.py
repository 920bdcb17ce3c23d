"""What a download leaves of the disk, and where it lets itself be sent."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import urllib.request
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from devices.agent import downloading
from devices.agent.config import Settings, StateDir
from devices.agent.downloading import LOOK_BYTES, Never, NoRoom, Wanted, download
from devices.agent.identity import Server, create_key
from devices.agent.transfers import Transfers
from devices.agent.wishes import Wish

from .file_host import FileHost

MEGABYTE = 1024 * 1024
MIN_FREE = 8 * MEGABYTE
SHA256 = hashlib.sha256(b"content").hexdigest()


class Usage(NamedTuple):
    free: int


class Disk:
    """Of so many bytes, of which the files in `folder` take theirs."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self.size = folder, size
        self.least = size

    def usage(self, _path: object) -> Usage:
        used = sum(one.stat().st_size for one in self._folder.rglob("*") if one.is_file())
        self.least = min(self.least, self.size - used)
        return Usage(self.size - used)


@pytest_asyncio.fixture
async def host() -> AsyncIterator[FileHost]:
    async with FileHost() as host:
        yield host


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(tmp_path, 32 * MEGABYTE)
    monkeypatch.setattr(shutil, "disk_usage", disk.usage)
    yield disk
    assert disk.least > MIN_FREE - 2 * LOOK_BYTES


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def sizes(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_size for one in folder.iterdir()}


async def fetch(host: FileHost, folder: Path, size: int | None) -> None:
    wanted = Wanted(SHA256, size, MIN_FREE)
    await asyncio.to_thread(
        download, host.address(), folder / "file", wanted, headers={}, go_on=lambda: True
    )


@pytest.mark.parametrize("announced", [None, 1024 * MEGABYTE])
async def test_what_nobody_signed_a_size_for_leaves_the_disk_its_room(
    host: FileHost, tmp_path: Path, disk: Disk, announced: int | None
) -> None:
    host.host(b"", is_endless=True, announced=announced)

    with pytest.raises(NoRoom, match="has no room for it"):
        await fetch(host, tmp_path, None)

    assert names(tmp_path) == []
    assert announced is None or disk.least == disk.size


@pytest.mark.parametrize("announced", [None, -1])
async def test_what_nobody_signed_a_size_for_has_a_limit_all_the_same(
    host: FileHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: int | None
) -> None:
    monkeypatch.setattr(downloading, "MOST_BYTES", len(b"content") - 1)
    host.host(b"content", announced=announced)

    with pytest.raises(Never, match="more than the 6 bytes a file may have"):
        await fetch(host, tmp_path, None)

    assert sizes(tmp_path) == {"file.part": 0}
    monkeypatch.setattr(downloading, "MOST_BYTES", len(b"content"))
    await fetch(host, tmp_path, None)
    assert (tmp_path / "file").read_bytes() == b"content"


async def test_what_others_write_meanwhile_is_heeded_as_well(
    host: FileHost, tmp_path: Path, disk: Disk
) -> None:
    host.host(b"x" * 16 * MEGABYTE)
    host.hold_after(MEGABYTE)
    fetching = asyncio.ensure_future(fetch(host, tmp_path, 16 * MEGABYTE))
    await host.until(lambda: host.files["/file"].sent == MEGABYTE)
    (tmp_path / "of others").write_bytes(b"x" * 15 * MEGABYTE)
    host.let_go()

    with pytest.raises(NoRoom):
        await fetching

    assert names(tmp_path) == ["of others"]


async def test_what_was_kept_for_other_runs_makes_room_for_what_has_no_size(
    host: FileHost, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", Disk(state.path, 32 * MEGABYTE).usage)
    hosted = host.host(b"x" * 12 * MEGABYTE)
    transfers = Transfers(state, Settings(min_free_bytes=MIN_FREE), create_key(state))
    monkeypatch.setattr(transfers, "_server", SERVER)

    async def address(run: str, sha256: str) -> str:
        return host.address()

    monkeypatch.setattr(transfers, "_address", address)
    state.files.mkdir()
    (state.files / "kept").write_bytes(b"x" * 14 * MEGABYTE)

    path = await transfers._bring("run", state.path, Wish(hosted.sha256, None))

    assert path.read_bytes() == hosted.content
    assert names(state.files) == [hosted.sha256]


SERVER = Server("http://127.0.0.1", "ws://127.0.0.1/ws/agent", "1", "2", "web-1", "00" * 32)


@pytest.mark.parametrize(
    ("asked", "target", "goes"),
    [
        ("https://files.example/a", "https://mirror.example/a", True),
        ("https://files.example/a", "http://127.0.0.1:6379/", False),
        ("https://files.example/a", "http://localhost/", False),
        ("https://files.example/a", "http://mirror.example/a", False),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:9000/a", True),
        ("http://127.0.0.1:8000/a", "https://mirror.example/a", True),
        ("http://127.0.0.1:8000/a", "http://mirror.example/a", False),
    ],
)
def test_only_from_this_machine_itself_it_is_sent_on_to_this_machine(
    asked: str, target: str, goes: bool
) -> None:
    request = urllib.request.Request(asked, headers={"X-DeployX-Signature": "secret"})

    sent_on = downloading._Careful().redirect_request(
        request, io.BytesIO(), 302, "Found", HTTPMessage(), target
    )

    assert (sent_on is not None) is goes
    assert sent_on is None or "secret" not in sent_on.headers.values()


def test_a_server_elsewhere_names_no_address_of_this_machine(state: StateDir) -> None:
    transfers = Transfers(state, Settings(), create_key(state))
    transfers._server = Server("https://s", "wss://s/ws/agent", "1", "2", "web-1", "00" * 32)

    with pytest.raises(Never, match="no https:// address"):
        transfers._call("http://127.0.0.1:6379/")
    assert transfers._call("https://files.example/a") == ("https://files.example/a", {})
