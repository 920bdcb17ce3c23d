"""The local agent of `manage.py up`, from one start to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployx import local_agent
from devices.agent.config import StateDir
from devices.agent.identity import Server, load_server, save_server

ENROLLED = Server(
    url="http://127.0.0.1:8000",
    socket="ws://127.0.0.1:8000/ws/agent",
    server_id="018f0000-0000-7000-8000-000000000001",
    device_id="018f0000-0000-7000-8000-000000000002",
    name="here",
    key="ab" * 32,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    state = StateDir(tmp_path / "agent")
    state.create()
    save_server(state, ENROLLED)
    return state.path


def test_one_without_an_identity_is_not_enrolled(tmp_path: Path, folder: Path) -> None:
    assert local_agent.is_enrolled(folder)
    assert not local_agent.is_enrolled(tmp_path)


def test_it_finds_the_server_at_another_port(folder: Path) -> None:
    local_agent.point_at(folder, "http://127.0.0.1:8001", "http://127.0.0.1:8001")
    moved = load_server(StateDir(folder))
    assert (moved.url, moved.socket) == ("http://127.0.0.1:8001", "ws://127.0.0.1:8001/ws/agent")
    assert (moved.device_id, moved.key) == (ENROLLED.device_id, ENROLLED.key)


def test_it_connects_where_the_server_says_it_is_reached(folder: Path) -> None:
    local_agent.point_at(folder, "http://127.0.0.1:8001", "https://deployx.example.com/")
    assert load_server(StateDir(folder)).socket == "wss://deployx.example.com/ws/agent"


def test_nothing_is_written_where_nothing_changed(folder: Path) -> None:
    before = StateDir(folder).server.stat().st_ino
    local_agent.point_at(folder, ENROLLED.url, ENROLLED.url)
    assert StateDir(folder).server.stat().st_ino == before
