"""Output arrives in order and whole, or with the exact number of bytes that were dropped."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from devices.agent.protocol import Heartbeat, Outcome, Output

from .conftest import AgentProcess, eventually
from .fake_runs import Run
from .fake_server import FakeServer

FLOOD = 20 * 1024 * 1024
SPOOL = 2 * 1024 * 1024
WINDOW = 256 * 1024


def noise(size: int, file: Path, then: str = "true") -> dict[str, str]:
    return {"command": f"head -c {size} /dev/urandom | tee {file}; {then}"}


async def test_a_flood_neither_blocks_the_command_nor_hides_what_was_dropped(
    server: FakeServer, enrolled: AgentProcess, tmp_path: Path
) -> None:
    server.limits = replace(server.limits, spool_bytes=SPOOL, output_bytes_per_second=10**8)
    await enrolled.start()
    server.takes_output.clear()

    run = await server.do(noise(FLOOD, tmp_path / "all", f"touch {tmp_path}/done"))
    await eventually((tmp_path / "done").exists)
    await eventually(lambda: not enrolled.shims())
    assert run.output == b""
    server.takes_output.set()
    result = await server.ended(run)

    assert result.outcome is Outcome.SUCCEEDED
    said = (tmp_path / "all").read_bytes()
    begin, dropped = the_gap(server, run)
    assert run.output == said[:begin] + said[begin + dropped :]
    assert (run.next, run.skipped) == (FLOOD, dropped)
    assert begin > SPOOL // 2
    assert begin + dropped < FLOOD
    assert result.output_length == len(run.output) == FLOOD - dropped
    assert result.output_sha256 == hashlib.sha256(run.output).hexdigest()


def the_gap(server: FakeServer, run: Run) -> tuple[int, int]:
    """Where the one gap begins and how many bytes it is."""
    gaps = {(f.offset - f.skipped, f.skipped) for f in server.frames(Output, run) if f.skipped}
    assert len(gaps) == 1
    return gaps.pop()


@pytest_asyncio.fixture
async def patient(enrolled: AgentProcess) -> AgentProcess:
    """One that does not send anything again because it has waited for too long."""
    enrolled.patience["delivery._STUCK_SECONDS"] = 600
    await enrolled.start()
    return enrolled


async def test_no_more_than_the_window_is_under_way(
    server: FakeServer, patient: AgentProcess, tmp_path: Path
) -> None:
    server.acks_output = False
    run = await server.do(noise(3 * WINDOW, tmp_path / "all"))

    def sent() -> int:
        return sum(len(frame.data) for frame in server.frames(Output, run))

    await server.until(lambda: sent() >= WINDOW, "a full window")
    beats = len(server.frames(Heartbeat))
    await server.saw(Heartbeat, count=beats + 3)
    assert sent() == WINDOW
    server.acks_output = True
    await server.reconnected(server.cut)
    await server.ended(run)

    assert run.output == (tmp_path / "all").read_bytes()


async def test_where_the_server_missed_something_it_is_sent_again_at_once(
    server: FakeServer, patient: AgentProcess, tmp_path: Path
) -> None:
    server.loses_outputs = 2

    run = await server.do(noise(200_000, tmp_path / "all"))
    result = await server.ended(run)

    assert server.loses_outputs == 0
    assert run.output == (tmp_path / "all").read_bytes()
    assert (run.skipped, result.output_length) == (0, 200_000)


async def test_what_the_server_has_already_is_not_sent_again(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    run = await server.do(noise(100_000, tmp_path / "all", "sleep 600"))
    await server.until(lambda: run.next == 100_000, "all of it")
    sent = len([frame for frame in server.frames(Output, run) if frame.data])

    await agent.restart()
    server.cancels.add(run.id)
    await server.ended(run)

    assert len([frame for frame in server.frames(Output, run) if frame.data]) == sent
    assert run.output == (tmp_path / "all").read_bytes()


async def test_streams_that_take_turns_are_both_whole(
    server: FakeServer, agent: AgentProcess
) -> None:
    turns = "i=0; while [ $i -lt 300 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done"

    run = await server.do({"command": turns})
    await server.ended(run)

    assert run.streams["stdout"].split() == [b"out%d" % n for n in range(300)]
    assert run.streams["stderr"].split() == [b"err%d" % n for n in range(300)]
    assert len(server.frames(Output, run)) < 300
