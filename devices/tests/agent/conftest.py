from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from devices.agent import protocol
from devices.agent.config import StateDir
from devices.agent.identity import Server, create_key, save_server

from .fake_server import FakeServer

ROOT = Path(__file__).resolve().parents[3]


class AgentProcess:
    """A real agent in a process of its own, on a state directory enrolled at `server`."""

    def __init__(self, state: StateDir, server: FakeServer) -> None:
        self.state = state
        self.server = server
        self.environment: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        sessions = self.server.connections
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "devices.agent",
            "run",
            "--state-dir",
            str(self.state.path),
            cwd=ROOT,
            env={
                **os.environ,
                "DEPLOYX_AGENT_RECONNECT_MAX_SECONDS": "0.1",
                "DEPLOYX_AGENT_REPEAT_SECONDS": "0.3",
                "DEPLOYX_AGENT_POLICY": str(self.state.path / "policy.toml"),
                **self.environment,
            },
        )
        await self.server.until(lambda: self.server.connections > sessions, "the agent")

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def end(self, number: int = signal.SIGTERM) -> int:
        process = self._process
        assert process is not None
        if process.returncode is None:
            process.send_signal(number)
        return await asyncio.wait_for(process.wait(), 15)

    def shims(self) -> list[psutil.Process]:
        return shims_of(self.state.path)


def shims_of(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if (
                any(str(folder) in part for part in process.cmdline())
                and "run" not in (process.cmdline()[3:4])
            ):
                found.append(process)
    return found


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.create()
    return state


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest_asyncio.fixture
async def agent(state: StateDir, server: FakeServer) -> AsyncIterator[AgentProcess]:
    """An agent that is connected; ended, with every process below it, after the test."""
    enroll_by_hand(state, server)
    agent = AgentProcess(state, server)
    await agent.start()
    yield agent
    await agent.end(signal.SIGKILL)
    for shim in agent.shims():
        with contextlib.suppress(psutil.Error):
            for process in [*shim.children(recursive=True), shim]:
                process.kill()


def enroll_by_hand(state: StateDir, server: FakeServer) -> None:
    server.device_key = create_key(state).public
    save_server(
        state,
        Server(
            url=f"http://127.0.0.1:{server.port}",
            socket=f"ws://127.0.0.1:{server.port}{protocol.SOCKET_PATH}",
            server_id=server.server_id,
            device_id=server.device_id,
            name="bench",
            key=server.keys[-1].public_key.hex(),
        ),
    )


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Await a condition, with a deadline."""

    async def wait(holds: Callable[[], object], seconds: float = 15.0) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while not holds():
            assert asyncio.get_running_loop().time() < until, "it never became true"
            await asyncio.sleep(0.02)

    return wait
