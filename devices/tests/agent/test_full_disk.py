"""A journal that has no room: nothing begins, nothing is forgotten, and the agent lives on."""

from __future__ import annotations

import resource
from pathlib import Path

from devices.agent.journal import Journal
from devices.agent.protocol import Heartbeat, Outcome, RejectCode, Result, Start

from .conftest import AgentProcess, Gate, eventually
from .fake_server import FakeServer


def fill(agent: AgentProcess) -> None:
    """No file of the agent's may grow past its journal, as when the disk is full."""
    size = agent.state.journal.stat().st_size + 10
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def make_room(agent: AgentProcess) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, unlimited)


def journal(agent: AgentProcess) -> Journal:
    return Journal(agent.state.journal, is_only_read=True)


async def some_time_passes(server: FakeServer) -> None:
    beats = len(server.frames(Heartbeat))
    await server.saw(Heartbeat, count=beats + 3)


async def test_without_room_to_write_a_claim_down_it_is_rejected(
    server: FakeServer, agent: AgentProcess
) -> None:
    fill(agent)

    run = await server.do({"command": "exit 0"})

    assert (await server.refused(run)).code is RejectCode.DISK_FULL
    assert not journal(agent).entries


async def test_without_room_for_its_go_a_run_waits_and_then_runs_once(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    server.answers_start = False
    run = await server.do({"command": f"echo ran >> {tmp_path}/ran"})
    await server.saw(Start, run)
    fill(agent)
    run.state = "running"

    await some_time_passes(server)
    assert not (tmp_path / "ran").exists()
    make_room(agent)

    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED
    assert (tmp_path / "ran").read_text() == "ran\n"


async def test_without_room_for_its_end_a_run_is_told_when_there_is_room_again(
    server: FakeServer, agent: AgentProcess, gate: Gate
) -> None:
    run = await server.do({"command": f"echo up; {gate.wait}; exit 7"})
    await server.until(lambda: run.output == b"up\n", "the command")
    fill(agent)
    gate.open()
    await eventually(lambda: not agent.shims())

    await some_time_passes(server)
    assert not server.frames(Result, run)
    make_room(agent)

    assert (await server.ended(run)).exit_code == 7


async def test_without_room_to_settle_a_run_it_is_settled_later(
    server: FakeServer, agent: AgentProcess
) -> None:
    server.acks_result = False
    run = await server.do({"command": "exit 7"})
    await server.saw(Result, run)
    fill(agent)
    server.acks_result = True

    await some_time_passes(server)
    assert run.id in journal(agent).entries
    make_room(agent)

    await eventually(lambda: run.id in journal(agent).tombstones)
    assert len(server.hellos) == 1
