"""Files that meet a disk which is really full: on their way to a device, at their place on it, and on
their way to the server. Each says so, and leaves nothing half done and the disk no fuller."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from accounts.errors import InvalidInput, Unavailable
from devices.agent.config import StateDir
from devices.agent.downloading import Never, Wanted, download
from devices.agent.protocol import Outcome
from devices.tests.agent.conftest import AgentProcess, enroll_by_hand
from devices.tests.agent.fake_server import FakeServer
from devices.tests.agent.file_host import FileHost
from devices.tests.agent.test_file_transfers import ask_for, ended, offer
from scheduling.catalogue import files, uploads
from scheduling.models import StoredFile
from scheduling.tests import factories
from tests.faults.disks import SmallDisk, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600), pytest.mark.usefixtures("root")]
MIB = 1024 * 1024
CONTENT = os.urandom(3 * MIB)
UNTOLD = "?untold"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Of 8 MiB, of which two are left."""
    with small_disk(tmp_path / "small", 8) as disk:
        disk.fill(2 * MIB)
        yield disk


class _Host(SimpleHTTPRequestHandler):
    """Says how long the file is, but where it is asked to keep that to itself."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword != "Content-Length" or not self.path.endswith(UNTOLD):
            super().send_header(keyword, value)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "hosted"
    folder.mkdir()
    (folder / "file").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Host, directory=folder)) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{host.server_address[1]}/file"
        host.shutdown()


@pytest.mark.parametrize(
    ("size", "asked", "said"),
    [
        (len(CONTENT), UNTOLD, "has no room for it"),
        (None, "", "has no room for it"),
        (None, UNTOLD, "No space left on device"),
    ],
    ids=["whose size is signed", "whose size its host says", "whose size nobody says"],
)
def test_a_download_says_so_and_takes_away_what_had_come(
    disk: SmallDisk, address: str, size: int | None, asked: str, said: str
) -> None:
    free = disk.free_bytes
    wanted = Wanted("0" * 64, size)
    with pytest.raises(Never, match=said):
        download(address + asked, disk.folder / "file", wanted, headers={}, go_on=lambda: True)
    assert disk.free_bytes == free
    assert [path.name for path in disk.folder.iterdir()] == [".ballast"]


async def test_a_deployment_leaves_what_was_there(disk: SmallDisk, tmp_path: Path) -> None:
    target = disk.folder / "app.conf"
    target.write_text("old")
    free = disk.free_bytes
    async with FakeServer() as server, FileHost() as host:
        state = StateDir(tmp_path / "agent")
        state.create()
        enroll_by_hand(state, server)
        agent = AgentProcess(state, server)
        await agent.start()
        hosted = host.host(CONTENT)
        offer(server, hosted, host.address())
        result = await ended(server, await ask_for(server, target, hosted))
        await agent.kill()
    assert result.outcome is Outcome.FAILED
    assert "No space left on device" in result.detail["summary"]
    assert target.read_text() == "old"
    assert disk.free_bytes == free
    assert sorted(path.name for path in disk.folder.iterdir()) == [".ballast", "app.conf"]


@pytest.fixture
def files_dir(disk: SmallDisk, settings: Any) -> Path:
    settings.DEPLOYX_FILES_DIR = disk.folder
    local = {**settings.STORAGES["blobs"], "OPTIONS": {"location": disk.folder}}
    settings.STORAGES = {**settings.STORAGES, "blobs": local}
    settings.DEPLOYX_FILES_FREE_BYTES = 0
    return disk.folder


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("free_bytes", "says"),
    [(0, "no room for it"), (-(2**30), "No space left on device")],
    ids=["looked at before", "told by the disk"],
)
def test_an_upload_goes_on_once_there_is_room(
    disk: SmallDisk, files_dir: Path, settings: Any, free_bytes: int, says: str
) -> None:
    user = factories.person("operator")
    with pytest.raises(InvalidInput, match="no room"):
        files.create(user, {"name": "a"}, iter([CONTENT]), len(CONTENT))
    disk.empty()
    upload = uploads.begin(user, {"name": "a"}, len(CONTENT))
    upload = uploads.append(upload, 0, iter([CONTENT[:MIB]]), MIB)
    disk.fill(MIB)
    rest = len(CONTENT) - MIB
    settings.DEPLOYX_FILES_FREE_BYTES = free_bytes
    with pytest.raises(Unavailable, match=says):
        uploads.append(upload, MIB, iter([CONTENT[MIB:]]), rest)
    assert disk.free_bytes == MIB
    assert not StoredFile.objects.exists()
    disk.empty()
    upload = uploads.append(upload, MIB, iter([CONTENT[MIB:]]), rest)
    assert upload.file is not None
    assert (upload.file.blob.size, list((files_dir / "drafts").iterdir())) == (len(CONTENT), [])
