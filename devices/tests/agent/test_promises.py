"""P1, P2, P4 and P6 while everything is killed, cut and doubled, in an order drawn by a seed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from devices.agent.protocol import Ack, Go, Outcome, Result

from .conftest import AgentProcess
from .fake_runs import Run
from .fake_server import FakeServer

RUNS = 10
ENDED = {"succeeded", "failed", "lost"}


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_run_starts_twice_and_each_ends_with_what_really_happened(
    server: FakeServer, agent: AgentProcess, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    runs: list[Run] = []
    for number in range(RUNS):
        runs.append(await begin(server, tmp_path, number))
        for _ in range(chance.randrange(3)):
            await disturb(chance, server, agent, chance.choice(runs))

    await server.until(lambda: all(run.state in ENDED for run in runs), "all to end")

    for number, run in enumerate(runs):
        check(server, run, tmp_path / str(number), number)


async def begin(server: FakeServer, folder: Path, number: int) -> Run:
    """Its exit code and its output are its number's."""
    work = f"echo ran >> {folder}/{number}; echo {number}; sleep 0.05; echo done; exit {number}"
    return await server.do({"command": work})


async def disturb(chance: random.Random, server: FakeServer, agent: AgentProcess, run: Run) -> None:
    what = chance.choice(["cut", "kill", "grant", "go", "ack", "nothing"])
    if what == "cut":
        await server.reconnected(server.cut)
    elif what == "kill":
        await agent.restart()
    elif what == "grant":
        await server.send(run.grant)
    elif what == "go" and run.state in {*ENDED, "running"}:
        await server.send(Go(run.id, 60))
    elif what == "ack":
        await server.send(Ack(run.id, run.state))
    await asyncio.sleep(chance.random() * 0.1)


def check(server: FakeServer, run: Run, file: Path, number: int) -> None:
    times = file.read_text().count("ran") if file.exists() else 0
    if run.state == "lost":
        assert times <= 1
        return
    assert run.result is not None
    if "never got as far" in run.result.detail["summary"]:
        # The agent was killed before its shim had been told what to do.
        assert (run.state, times, run.output) == ("failed", 0, b"")
        return
    assert times == 1
    assert run.output == b"%d\ndone\n" % number
    assert run.result.exit_code == number
    assert run.result.outcome is (Outcome.FAILED if number else Outcome.SUCCEEDED)
    assert len(set(map(repr, server.frames(Result, run)))) <= 1
