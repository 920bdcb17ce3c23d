"""Becoming a device: the token's ways in, the key that is pinned, and every reason to refuse."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest import mock

import pytest

from devices.agent import protocol
from devices.agent.__main__ import main
from devices.agent.config import ConfigError, StateDir
from devices.agent.identity import load_key, load_server
from devices.agent.protocol import EnrolmentAnswer, EnrolmentRequest

from .fake_runs import new_id

TOKEN = "dxe_" + "t" * 43


class Office:
    """Where devices enrol, with one token."""

    def __init__(self) -> None:
        self.requests: list[EnrolmentRequest] = []
        self.key = protocol.public_key_of(protocol.new_private_key())
        self.status = 201
        self.socket = "wss://deployx.example/ws/agent"
        self.device_id, self.server_id = new_id(), new_id()
        office = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = office.answer(self.path, body)
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", office.url + "/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        assert path == "/api/agent/enroll"
        request = protocol.decode_enrolment_request(body)
        self.requests.append(request)
        signed = protocol.enroll_bytes(request.token, request.public_key)
        assert protocol.verify(request.public_key, request.signature, signed)
        if self.status != 201 or request.token != TOKEN:
            return (403 if self.status == 201 else self.status), b"{}"
        answer = EnrolmentAnswer(
            self.device_id, self.server_id, protocol.key_id(self.key), self.key, self.socket
        )
        return 201, protocol.encode_enrolment(answer).encode()


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    thread = threading.Thread(target=office.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield office
    office.server.shutdown()
    office.server.server_close()
    thread.join()


@dataclass(frozen=True, slots=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def agent(state: StateDir, command: str, *rest: str, said: str = "", **variables: str) -> Done:
    """The program's own entry point, in this process: starting forty Pythons takes a minute."""
    out, err, umask = io.StringIO(), io.StringIO(), os.umask(0o022)
    try:
        with (
            mock.patch.dict(os.environ, variables),
            mock.patch.object(sys, "stdin", io.StringIO(said)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main([command, "--state-dir", str(state.path), *rest])
    finally:
        os.umask(umask)
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture
def fresh(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "fresh")


def test_enrolled_it_knows_itself_and_its_server(office: Office, fresh: StateDir) -> None:
    done = agent(fresh, "enroll", office.url, "--token", "-", "--name", "bench", said=TOKEN + "\n")

    assert (done.returncode, done.stderr) == (0, "")
    server = load_server(fresh)
    assert (server.device_id, server.server_id) == (office.device_id, office.server_id)
    assert (server.socket, server.public_key) == (office.socket, office.key)
    [request] = office.requests
    assert (request.name, request.public_key) == ("bench", load_key(fresh).public)
    assert request.facts["os"] == "linux"


def test_what_it_keeps_is_for_itself_alone(office: Office, fresh: StateDir) -> None:
    agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)

    modes = {path.name: path.stat().st_mode & 0o777 for path in fresh.path.iterdir()}

    assert fresh.path.stat().st_mode & 0o777 == 0o700
    assert modes == {"agent.key": 0o600, "server.json": 0o600, "runs": 0o700}


def test_the_token_may_come_from_a_file_or_the_environment(
    office: Office, fresh: StateDir, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    other = StateDir(tmp_path / "other")

    by_file = agent(fresh, "enroll", office.url, "--token-file", str(tmp_path / "token"))
    by_variable = agent(other, "enroll", office.url, DEPLOYX_ENROLL_TOKEN=TOKEN)

    assert (by_file.returncode, by_variable.returncode) == (0, 0)
    assert "warning" not in by_file.stderr + by_variable.stderr


def test_a_token_on_the_command_line_works_with_a_warning(office: Office, fresh: StateDir) -> None:
    done = agent(fresh, "enroll", office.url, "--token", TOKEN)

    assert done.returncode == 0
    assert "process list" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize("shape", ["{}", "SHA256:{}", "colons"])
def test_the_servers_key_is_held_against_the_fingerprint(
    office: Office, fresh: StateDir, shape: str
) -> None:
    found = hashlib.sha256(office.key).hexdigest()
    said = ":".join(found[n : n + 2] for n in range(0, 64, 2))
    expected = said if shape == "colons" else shape.format(found)

    done = agent(
        fresh,
        "enroll",
        office.url,
        "--token",
        "-",
        "--server-key-fingerprint",
        expected,
        said=TOKEN,
    )

    assert done.returncode == 0


def test_another_server_key_is_refused(office: Office, fresh: StateDir) -> None:
    done = agent(
        fresh,
        "enroll",
        office.url,
        "--token",
        "-",
        "--server-key-fingerprint",
        "ab" * 32,
        said=TOKEN,
    )

    assert done.returncode == 1
    assert "fingerprint" in done.stderr
    assert not fresh.server.exists()


@pytest.mark.parametrize(
    ("status", "said"), [(403, "wrong, used up or expired"), (429, "minute"), (307, "307")]
)
def test_a_refusal_is_said_and_leaves_no_device(
    office: Office, fresh: StateDir, status: int, said: str
) -> None:
    office.status = status

    done = agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)

    assert (done.returncode, len(office.requests)) == (1, 1)
    assert said in done.stderr
    assert not fresh.server.exists()


@pytest.mark.parametrize("url", ["http://deployx.example", "ftp://127.0.0.1", "deployx.example"])
def test_the_token_goes_only_where_it_is_encrypted(fresh: StateDir, url: str) -> None:
    done = agent(fresh, "enroll", url, "--token", "-", said=TOKEN)

    assert done.returncode == 2
    assert "https://" in done.stderr


def test_a_socket_without_encryption_is_refused(office: Office, fresh: StateDir) -> None:
    office.socket = "ws://deployx.example/ws/agent"

    done = agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)

    assert done.returncode == 1
    assert "wss://" in done.stderr


def test_an_address_that_was_changed_to_a_plain_one_is_not_used(
    office: Office, fresh: StateDir
) -> None:
    agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)
    fresh.server.write_text(fresh.server.read_text().replace("wss://", "ws://"))

    with pytest.raises(ConfigError, match="wss://"):
        load_server(fresh)


def test_no_token_and_no_device_are_said(office: Office, fresh: StateDir) -> None:
    nothing = agent(fresh, "enroll", office.url, DEPLOYX_ENROLL_TOKEN="")
    stranger = agent(fresh, "run")

    assert (nothing.returncode, stranger.returncode) == (2, 2)
    assert "no enrolment token" in nothing.stderr
    assert "not enrolled" in stranger.stderr


def test_enrolled_anew_it_is_a_new_device_and_the_old_state_is_kept(
    office: Office, fresh: StateDir
) -> None:
    agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)
    old = load_key(fresh).public

    again = agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)
    forced = agent(fresh, "enroll", office.url, "--token", "-", "--force", said=TOKEN)

    assert (again.returncode, forced.returncode) == (2, 0)
    assert "--force" in again.stderr
    assert load_key(fresh).public != old
    assert load_key(StateDir(fresh.path.with_name("fresh.old-1"))).public == old


def test_status_says_who_it_is(office: Office, fresh: StateDir) -> None:
    agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)

    done = agent(fresh, "status")

    assert done.returncode == 0
    for word in (office.device_id, office.url, protocol.fingerprint(office.key), "not running"):
        assert word in done.stdout


@pytest.mark.parametrize("key", ["", "nonsense!", "c2hvcnQ="])
def test_only_a_key_can_be_trusted(office: Office, fresh: StateDir, key: str) -> None:
    agent(fresh, "enroll", office.url, "--token", "-", said=TOKEN)
    before = load_server(fresh)

    done = agent(fresh, "trust", key)

    assert done.returncode == 2
    assert "32 bytes" in done.stderr
    assert load_server(fresh) == before
