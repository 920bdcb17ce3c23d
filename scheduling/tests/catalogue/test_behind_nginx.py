"""What goes through a real nginx: files for devices, as agents fetch them, whole, from any byte, and no
faster than they may; and what agents hold open."""

from __future__ import annotations

import base64
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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


def signed(path: str, key: bytes = KEY) -> dict[str, str]:
    signature = base64.b64encode(protocol.sign(key, protocol.fetch_bytes(path))).decode()
    return {"X-DeployX-Signature": signature}


def fetch(address: str, path: str, file: StoredFile, target: Path, *, key: bytes = KEY) -> None:
    """As an agent does it."""
    wanted = Wanted(file.blob.sha256, file.blob.size)
    download(address + path, target, wanted, headers=signed(path, key), go_on=lambda: True)


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
    with urllib.request.urlopen(
        urllib.request.Request(address + path, headers=signed(path))
    ) as one:
        assert one.headers["Content-Type"] == "application/octet-stream"
        assert one.headers["X-Content-Type-Options"] == "nosniff"
        assert one.headers.get_all("Accept-Ranges") == ["bytes"]


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
def saying(answer: Callable[[str], str]) -> Iterator[str]:
    """The address of a server that answers every request with this, which is given its path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = answer(self.path).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

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
        saying(lambda _: "web") as web,
        saying(lambda _: "agents") as agents,
        proxied.nginx(tmp_path / "nginx", web, files_dir, agents) as found,
    ):
        asked = ("/ws/agent", "/ws/live", "/api/agent/enroll", "/tasks/")
        said = [urllib.request.urlopen(found + path).read().decode() for path in asked]
    assert said == ["agents", "web", "web", "web"]


class Held:
    """A web process that answers nothing until it is told to."""

    def __init__(self) -> None:
        self.come: list[str] = []
        self.may_answer = threading.Event()

    def answer(self, path: str) -> str:
        self.come.append(path)
        self.may_answer.wait(60)
        return "held"

    def asked_by(self, number: int, request: urllib.request.Request) -> list[Future[int]]:
        """So many requests at once, once all of them have come here."""
        before = len(self.come)
        pool = ThreadPoolExecutor(number)
        answers = [pool.submit(status_of, request) for _ in range(number)]
        until(lambda: len(self.come) == before + number, what=f"{number} requests held")
        return answers


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as refusal:
        return refusal.code


@contextmanager
def held(folder: Path, files: Path, **limits: int) -> Iterator[tuple[Held, str]]:
    """One behind nginx, which lets an address have so many requests under way."""
    web = Held()
    with saying(web.answer) as address, proxied.nginx(folder, address, files, limits=limits) as at:
        try:
            yield web, at
        finally:
            web.may_answer.set()


@pytest.mark.parametrize("path", ["/ws/agent", "/agent/files/token"])
def test_a_fleet_behind_one_address_has_no_limit(
    tmp_path: Path, files_dir: Path, path: str
) -> None:
    with held(tmp_path / "nginx", files_dir, address=2, uploads=2) as (web, at):
        answers = web.asked_by(3, urllib.request.Request(at + path))
        web.may_answer.set()
        assert [answer.result() for answer in answers] == [200] * 3


@pytest.mark.parametrize(
    "path", ["/tasks/", "/ws/live", "/api/files", "/api/schedule/runs/1/output"]
)
def test_one_address_has_so_many_requests_under_way(
    tmp_path: Path, files_dir: Path, path: str
) -> None:
    with held(tmp_path / "nginx", files_dir, address=2) as (web, at):
        web.asked_by(2, urllib.request.Request(at + path))
        assert status_of(urllib.request.Request(at + path)) == 429


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/files"), ("PATCH", "/api/files/uploads/1"), ("POST", "/files/new")],
)
def test_one_address_has_so_many_uploads_under_way(
    tmp_path: Path, files_dir: Path, method: str, path: str
) -> None:
    """And looks at its files meanwhile."""
    with held(tmp_path / "nginx", files_dir, uploads=2) as (web, at):
        upload = urllib.request.Request(at + path, data=b"bytes", method=method)
        web.asked_by(2, upload)
        assert status_of(upload) == 429
        web.asked_by(3, urllib.request.Request(f"{at}/api/files"))
