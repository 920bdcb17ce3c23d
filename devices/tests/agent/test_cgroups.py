"""A cgroup for each run where the agent was left one to divide, and the same ends where it was not."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from devices.agent import cgroups
from devices.agent.config import StateDir
from devices.agent.protocol import Outcome

from .conftest import AgentProcess, Gate, enroll_by_hand, eventually
from .fake_runs import Run
from .fake_server import DEADLINE_SECONDS, FakeServer

# Deaf to SIGTERM, out of its session, and with nothing in its environment to know it by.
STRAY = "setsid env -i sh -c 'trap \"\" TERM; echo $$ > $0; while :; do sleep 0.1; done' {file}"


@pytest.fixture
def own_group() -> Iterator[Path | None]:
    """One that is marked as systemd marks what it delegates; None where this system gives none."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    roots = [Path(line.split()[4]) for line in mounts if " - cgroup2 " in line]
    group = roots[0] / f"deployx-test-{os.getpid()}" if roots else Path("/nowhere/at/all")
    try:
        group.mkdir()
        os.setxattr(group, "user.delegate", b"1")
    except OSError:
        yield None
        return
    yield group
    (group / "cgroup.kill").write_text("1")
    until = time.monotonic() + DEADLINE_SECONDS
    while group.exists():
        assert time.monotonic() < until, "it does not become empty"
        for folder in (*group.glob("run-*"), group):
            with contextlib.suppress(OSError):
                folder.rmdir()


class EnclosedAgent(AgentProcess):
    group: Path | None = None

    def command(self) -> tuple[str, ...]:
        enter = f"echo $$ > {self.group}/cgroup.procs; " if self.group else ""
        return ("sh", "-c", f'{enter}exec "$0" "$@"', *super().command())


@pytest_asyncio.fixture
async def agent(state: StateDir, server: FakeServer, own_group: Path | None) -> AgentProcess:
    agent = EnclosedAgent(state, server)
    agent.group = own_group
    enroll_by_hand(state, server)
    await agent.start()
    return agent


@pytest.fixture(autouse=True)
def _no_agent_left(agent: AgentProcess) -> Iterator[None]:
    yield
    with contextlib.suppress(ProcessLookupError):
        os.kill(agent.pid, signal.SIGKILL)


def groups(own: Path | None) -> list[str]:
    return [] if own is None else [path.name for path in own.glob("run-*")]


def stray(tmp_path: Path) -> dict[str, str]:
    """A command that says the pid of what it has let go of."""
    file = f"{tmp_path}/$DEPLOYX_RUN_ID"
    begun = f"{STRAY.format(file=file)} & until [ -s {file} ]; do sleep 0.01; done"
    return {"command": f"{begun}; cat {file}; sleep 600"}


async def test_at_its_time_limit_nothing_of_a_run_survives(
    server: FakeServer, agent: AgentProcess, own_group: Path | None, tmp_path: Path
) -> None:
    def is_up(run: Run) -> bool:
        has_group = groups(own_group) == ([f"run-{run.id}"] if own_group else [])
        return run.output.endswith(b"\n") and has_group

    run = await server.up_in_time(stray(tmp_path), is_up)
    assert (await server.ended(run)).outcome is Outcome.TIMED_OUT
    assert not psutil.pid_exists(int(run.output))
    assert groups(own_group) == []


async def test_of_a_run_whose_shim_was_killed_nothing_survives(
    server: FakeServer, agent: AgentProcess, own_group: Path | None, tmp_path: Path
) -> None:
    run = await server.do(stray(tmp_path))
    await server.until(lambda: run.output.endswith(b"\n"), "the command")
    left = psutil.Process(int(run.output))
    [shim] = agent.shims()
    os.kill(shim, signal.SIGKILL)
    assert (await server.ended(run)).outcome is Outcome.UNKNOWN
    await eventually(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)
    await eventually(lambda: groups(own_group) == [])


async def test_what_is_left_in_the_background_on_purpose_lives_on(
    server: FakeServer, agent: AgentProcess, own_group: Path | None, gate: Gate
) -> None:
    run = await server.do({"command": f"({gate.wait}) > /dev/null 2>&1 &"})
    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED
    assert groups(own_group) == ([f"run-{run.id}"] if own_group else [])
    gate.open()
    await eventually(lambda: not (own_group and _members(own_group / f"run-{run.id}")))
    await agent.restart()
    assert groups(own_group) == []


def _members(group: Path) -> str:
    return (group / "cgroup.procs").read_text()


@pytest.mark.parametrize(
    ("line", "root"),
    [
        ("0::/", "cgroup2"),
        ("1:name=systemd:/x", "cgroup2"),
        ("0::/system.slice/deployx-agent.service", "cgroup"),
        ("0::/system.slice/deployx-agent.service", "cgroup2"),
    ],
    ids=["root", "v1", "no v2", "not delegated"],
)
def test_what_is_not_the_agents_own_is_left_alone(tmp_path: Path, line: str, root: str) -> None:
    (tmp_path / "cgroup").write_text(line + "\n")
    mount = f"30 23 0:26 / {tmp_path} rw shared:4 - {root} {root} rw\n"
    (tmp_path / "mountinfo").write_text(mount)
    (tmp_path / "system.slice/deployx-agent.service").mkdir(parents=True)
    assert cgroups.delegated(tmp_path) is None
