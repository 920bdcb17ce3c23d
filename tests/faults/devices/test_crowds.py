"""Crowds of agents whose server goes away: simulated ones, that speak the whole protocol."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks import simulated
from benchmarks.simulated import Habits, RunOnDevice
from tests.faults.checker import Checker
from tests.faults.devices.conftest import execute_on
from tests.faults.ledger import Ledger, Start, Trace
from tests.faults.site import Site, pause, site
from tests.faults.work import UNKNOWN
from tests.running import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

PATIENCE_SECONDS = 240.0
"""Of a machine that has much else to do."""
QUICK = {"heartbeat_seconds": 5.0, "poll_seconds": 5.0, "repeat_seconds": 2.0}
KILLS = 3


@dataclass(slots=True)
class SimulatedTrace(Trace):
    length: int = 0

    def output(self) -> dict[str, bytes]:
        return {"stdout": simulated.written(self.run, 0, self.length), "stderr": b""}


@dataclass(frozen=True, slots=True)
class Told(Ledger):
    """What simulated devices say of their runs, in the place of ledgers that commands wrote."""

    runs: list[RunOnDevice] = field(default_factory=list)

    def traces(self) -> dict[str, Trace]:
        return {one.run: _trace(one) for one in self.runs if one.starts}


def _trace(one: RunOnDevice) -> Trace:
    start = Start(UNKNOWN, 1, "", 0, one.output_length, 0)
    codes = [0] if one.outcome == "succeeded" else []
    return SimulatedTrace(one.run, [start] * one.starts, codes, one.output_length)


@pytest.fixture
def place() -> Iterator[Site]:
    """One for each crowd: the checker wants the word of every device that ever ran anything."""
    with site(DEPLOYX_RECONCILE_SECONDS="2") as made:
        yield made


def count(place: Site, execution: str, status: str) -> int:
    sql = "SELECT count(*) FROM scheduled_task_device_runs WHERE execution_id = %s AND status = %s"
    ((number,),) = place.query(sql, execution, status)
    return int(number)


def until_under_way(place: Site, execution: str, number: int) -> None:
    def are_begun() -> bool | None:
        begun = count(place, execution, "running") + count(place, execution, "succeeded")
        return begun >= number or None

    until(are_begun, PATIENCE_SECONDS, what=f"{number} runs under way")


def until_ended(place: Site, agents: simulated.Fleet, execution: str, number: int) -> None:
    """All of them succeeded, but those whose GO was lost with the web process that noted the start."""

    def are_ended() -> bool | None:
        ended = count(place, execution, "succeeded") + count(place, execution, "lost")
        return ended == number or None

    until(are_ended, PATIENCE_SECONDS, what=f"the end of {number} runs")
    sql = "SELECT id::text FROM scheduled_task_device_runs WHERE execution_id = %s AND status = 'lost'"
    lost = {run for (run,) in place.query(sql, execution)}
    assert not lost & {one.run for one in agents.runs() if one.starts}


def check(
    place: Site, agents: simulated.Fleet, case: str, seed: int, began: float, kills: int
) -> None:
    """Every run there is was simulated, so that each has its device's word."""
    told = Told(Path(), [])
    checker = Checker(place, told)
    checker.wait_until_calm(PATIENCE_SECONDS)
    told.runs.extend(agents.runs())
    checker.check(case, seed=seed, kills=kills, seconds=time.monotonic() - began)
    place.query("DELETE FROM scheduling_outputchunk RETURNING 1")


def test_two_hundred_agents_stream_while_web_is_killed(place: Site, seed: int) -> None:
    began = time.monotonic()
    identities = simulated.enlist(place.services.database_url, 200, "streaming")
    habits = Habits(output_bytes=150_000, runs_for_seconds=12.0, reconnect_max_seconds=4.0, **QUICK)
    with simulated.fleet(place.address, identities, habits) as agents:
        agents.connect()
        agents.until_online(len(identities), PATIENCE_SECONDS)
        execution = execute_on(place, [one.id for one in identities])
        until_under_way(place, execution, 150)
        for _ in range(KILLS):
            place.kill("web")
            place.start("web")
            pause(3.0)
        until_ended(place, agents, execution, 200)
        check(place, agents, "web killed while 200 agents stream", seed, began, KILLS)


@pytest.mark.alone
def test_two_thousand_agents_come_back_at_once(place: Site, seed: int) -> None:
    """More than a web process lets in at once, and while every one of them has a run."""
    began = time.monotonic()
    identities = simulated.enlist(place.services.database_url, 2_000, "crowd")
    habits = Habits(output_bytes=1_000, runs_for_seconds=10.0, reconnect_max_seconds=20.0, **QUICK)
    with simulated.fleet(place.address, identities, habits) as agents:
        agents.connect()
        agents.until_online(len(identities), PATIENCE_SECONDS)
        execution = execute_on(place, [one.id for one in identities])
        until_under_way(place, execution, 500)
        place.kill("web")
        agents.disconnect()  # they would spread while it starts
        place.start("web")
        agents.tally()
        agents.connect(per_second=0)
        took = agents.until_online(len(identities), PATIENCE_SECONDS)
        assert agents.tally().refused["503"], "none was told to come later"
        until_ended(place, agents, execution, 2_000)
        check(place, agents, f"2,000 agents back at once, in {took:.0f} s", seed, began, 1)
