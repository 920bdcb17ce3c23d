"""The agent with which `manage.py up` makes its own machine a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from devices.agent.config import StateDir
from devices.agent.identity import load_server, save_server
from devices.agent.protocol import SOCKET_PATH


def is_enrolled(folder: Path) -> bool:
    return StateDir(folder).server.exists()


def point_at(folder: Path, address: str, public_url: str) -> None:
    """Has an enrolled agent look for its server where that runs this time: a person may choose
    another port at each start. Whom it trusts stays as it was."""
    state = StateDir(folder)
    server = load_server(state)
    socket = "ws" + public_url.removeprefix("http").rstrip("/") + SOCKET_PATH
    if (server.url, server.socket) != (address, socket):
        save_server(state, replace(server, url=address, socket=socket))
