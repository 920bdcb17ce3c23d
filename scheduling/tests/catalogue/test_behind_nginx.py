"""What goes through a real nginx: files for devices, as agents fetch them, whole, from any byte, and no
faster than they may; and what agents hold open."""

from __future__ import annotations

import base64
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from devices.agent import protocol
from devices.agent.downloading import Stale, Wanted, download
from devices.ledger_port import RunFetch, RunSource
from scheduling import ledger
from scheduling.catalogue import store
from scheduling.catalogue.downloads import FileDownloads
from scheduling.models import DeviceRun, StoredFile
from scheduling.tests.catalogue.conftest import KEY, Store
from tests import proxied
from tests.running import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("signer")]
CONTENT = os.urandom(3_000_000)


@pytest.fixture
def accel(settings: Any) -> None:
    settings.DEPLOYX_ACCEL_LOCATION = "/stored/"


@pytest.fixture
def file(accel: None, stored: Store) -> StoredFile:
    return stored(CONTENT)


async def _no_other(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def address(tmp_path: Path, files_dir: Path) -> Iterator[str]:
    """Of nginx, before a web process that serves files alone."""
    config = uvicorn.Config(
        FileDownloads(_no_other), host="127.0.0.1", port=0, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, what="the web process up")
    port = server.servers[0].sockets[0].getsockname()[1]
    with proxied.nginx(tmp_path / "nginx", f"http://127.0.0.1:{port}", files_dir) as found:
        yield found
    server.should_exit = True
    thread.join(20)


def path_for(run: DeviceRun, file: StoredFile) -> str:
    assert run.device_id is not None
    (answer,) = ledger.fetch([RunFetch(run.device_id, run.pk, file.blob.sha256)])
    assert isinstance(answer, RunSource)
    return answer.url


def fetch(address: str, path: str, file: StoredFile, target: Path, *, key: bytes = KEY) -> None:
    """As an agent does it."""
    signature = base64.b64encode(protocol.sign(key, protocol.fetch_bytes(path))).decode()
    wanted = Wanted(file.blob.sha256, file.blob.size)
    headers = {"X-DeployX-Signature": signature}
    download(address + path, target, wanted, headers=headers, go_on=lambda: True)


def test_nginx_sends_the_file_from_its_beginning_or_any_byte(
    run: DeviceRun, file: StoredFile, address: str, tmp_path: Path
) -> None:
    path, log = path_for(run, file), tmp_path / "nginx/access.log"
    for begun in (0, 1, 1_234_567, len(CONTENT) - 1):
        target = tmp_path / f"from {begun}"
        target.with_name(f"{target.name}.part").write_bytes(CONTENT[:begun])
        fetch(address, path, file, target)
        assert target.read_bytes() == CONTENT

    def has_both() -> bool:
        sent = log.read_text()
        return f" 206 {len(CONTENT) - 1_234_567} " in sent and " 206 1 " in sent

    until(has_both, what="both lines in nginx's log")


def test_what_is_stored_is_read_by_nginx_and_found_by_no_address(
    run: DeviceRun, file: StoredFile, address: str, tmp_path: Path
) -> None:
    place = store.local_path(file.blob.sha256)
    assert place is not None
    assert (place.stat().st_mode & 0o777, place.parent.stat().st_mode & 0o777) == (0o644, 0o711)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/stored/{store.accel_path(file.blob.sha256)}")
    assert refused.value.code == 404
    with pytest.raises(Stale, match="403"):
        path = path_for(run, file)
        fetch(address, path, file, tmp_path / "x", key=protocol.new_private_key())


def test_nginx_keeps_to_the_rate(
    run: DeviceRun, file: StoredFile, address: str, tmp_path: Path, settings: Any
) -> None:
    settings.DEPLOYX_DOWNLOAD_BYTES_PER_SECOND = 1_000_000
    began = time.monotonic()
    fetch(address, path_for(run, file), file, tmp_path / "slow")
    assert time.monotonic() - began >= 1.5


@contextmanager
def saying(word: str) -> Iterator[str]:
    """The address of a server that answers every request with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(word.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_agents_hold_open_goes_to_a_process_of_its_own(
    tmp_path: Path, files_dir: Path
) -> None:
    with (
        saying("web") as web,
        saying("agents") as agents,
        proxied.nginx(tmp_path / "nginx", web, files_dir, agents) as found,
    ):
        asked = ("/ws/agent", "/ws/live", "/api/agent/enroll", "/tasks/")
        said = [urllib.request.urlopen(found + path).read().decode() for path in asked]
    assert said == ["agents", "web", "web", "web"]
