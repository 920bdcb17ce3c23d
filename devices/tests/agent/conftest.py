from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from devices.agent import protocol
from devices.agent.config import StateDir
from devices.agent.identity import Server, create_key, save_server
from devices.agent.platforms.linux import descendants, start_mark

from .fake_server import DEADLINE_SECONDS, FakeServer

ROOT = Path(__file__).resolve().parents[3]
_PR_SET_CHILD_SUBREAPER = 36


class AgentProcess:
    """A real agent in a process of its own, on a state directory enrolled at `server`."""

    def __init__(self, state: StateDir, server: FakeServer) -> None:
        self.state = state
        self.server = server
        self.environment: dict[str, str] = {}
        self.patience: dict[str, float] = {}
        """Other seconds for what a module of the agent's waits for, by `module.NAME`."""
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Answers once the agent has been welcomed."""
        sessions = len(self.server.hellos)
        await self.launch()
        await self.server.until(lambda: len(self.server.hellos) > sessions, "the agent")

    def command(self) -> tuple[str, ...]:
        if not self.patience:
            return (sys.executable, "-m", "devices.agent")
        modules = {name.partition(".")[0] for name in self.patience}
        lines = [
            f"from devices.agent import __main__, {', '.join(sorted(modules))}",
            *(f"{name} = {seconds}" for name, seconds in self.patience.items()),
            "raise SystemExit(__main__.main())",
        ]
        return (sys.executable, "-c", "\n".join(lines))

    async def launch(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(*self.command(), "run", "--state-dir", str(self.state.path)),
            cwd=ROOT,
            env={
                **os.environ,
                "DEPLOYX_AGENT_RECONNECT_MAX_SECONDS": "0.1",
                "DEPLOYX_AGENT_REPEAT_SECONDS": "0.1",
                "DEPLOYX_AGENT_KILL_GRACE_SECONDS": "0.3",
                "DEPLOYX_AGENT_POLICY": str(self.state.path / "policy.toml"),
                "NOT_FOR_COMMANDS": "1",
                **self.environment,
            },
        )

    async def kill(self) -> None:
        """Also one that never was started."""
        if self._process is not None:
            await self.end(signal.SIGKILL)

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def end(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), DEADLINE_SECONDS)

    def shims(self) -> list[int]:
        """The pids of this agent's shims, orphaned ones too."""
        return [pid for pid in descendants(os.getpid()) if _is_shim(pid)]


def _is_shim(pid: int) -> bool:
    return start_mark(pid) is not None and b"devices.agent.shim" in _command_line(pid).split(b"\0")


def _command_line(pid: int) -> bytes:
    """Empty for a process that has ended meanwhile."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


class Gate:
    """Holds commands up until a test lets one go on."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)
        self.wait = f"read _ < {path}"

    def open(self) -> None:
        os.write(self._descriptor, b"\n")

    def close(self) -> None:
        os.close(self._descriptor)


async def eventually(holds: object, seconds: float = DEADLINE_SECONDS) -> None:
    """Await a condition, with a deadline."""
    assert callable(holds)
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never became true"
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def the_umask() -> Iterator[None]:
    """The agent's program sets one for its whole process; here that is everybody's."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Every process a test started, orphans and daemons included, has ended by itself by the
    test's end: pytest inherits them all."""
    before = _children()
    _set_reaper(1)
    try:
        yield
        until = time.monotonic() + DEADLINE_SECONDS
        while left := _living(before):
            if time.monotonic() > until:
                said = [_command_line(pid) for pid in left]
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"left running: {said}")
            time.sleep(0.01)
    finally:
        _set_reaper(0)


def _living(before: set[int]) -> list[int]:
    """New children; those that have ended are collected."""
    left = []
    for pid in _children() - before:
        if start_mark(pid) is not None:
            left.append(pid)
            continue
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return left


def _children() -> set[int]:
    """Whichever of our threads began them; read anew when one of those ends meanwhile."""
    while True:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            tasks = list(Path("/proc/self/task").glob("*/children"))
            return {int(pid) for task in tasks for pid in task.read_text().split()}


def _set_reaper(value: int) -> None:
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0) == 0


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.create()
    return state


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server
    assert server.problem is None


@pytest_asyncio.fixture
async def enrolled(state: StateDir, server: FakeServer) -> AsyncIterator[AgentProcess]:
    """An agent that has not been started; killed after the test."""
    agent = AgentProcess(state, server)
    enroll_by_hand(state, server)
    yield agent
    await agent.kill()


@pytest_asyncio.fixture
async def agent(enrolled: AgentProcess) -> AgentProcess:
    """An agent that is connected."""
    await enrolled.start()
    return enrolled


@contextlib.asynccontextmanager
async def standing(folder: Path, **environment: str) -> AsyncIterator[AgentProcess]:
    """An agent that is connected, with a server of its own."""
    async with FakeServer() as server:
        state = StateDir(folder / "state")
        state.create()
        enroll_by_hand(state, server)
        agent = AgentProcess(state, server)
        agent.environment |= environment
        await agent.start()
        yield agent
        await agent.kill()
    assert server.problem is None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing_agent(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[AgentProcess]:
    """One agent for all tests of a file that only give it runs."""
    async with standing(tmp_path_factory.mktemp("agent")) as agent:
        yield agent


@pytest_asyncio.fixture(loop_scope="module")
async def device(standing_agent: AgentProcess) -> FakeServer:
    """The server of the standing agent."""
    return standing_agent.server


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
