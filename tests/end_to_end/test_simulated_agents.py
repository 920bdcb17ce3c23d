"""The simulated agents of `benchmarks.simulated` speak the protocol that the real server speaks."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from benchmarks import fleet as fleet_benchmark
from benchmarks import fleet_report
from benchmarks.others import Other
from benchmarks.simulated import Fleet, Habits, Identity, enlist, fleet, written
from tests.running import BY_HAND, RunningSystem, until

AGENTS = 20
OUTPUT_BYTES = 100_000


@pytest.fixture
def database(system: RunningSystem) -> str:
    return system.database_url


def execute(system: RunningSystem, identities: list[Identity]) -> str:
    """The id of an execution on these devices."""
    body = {
        "name": "Simulated",
        "task_type": "command",
        "command_payload": {"command": "true"},
        "device_ids": [one.id for one in identities],
        **BY_HAND,
    }
    task = system.post("/api/schedule/tasks", body)
    execution: dict[str, Any] = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    return str(execution["id"])


STORED = """
SELECT run.id::text, run.device_id::text, string_agg(chunk.data, ''::bytea ORDER BY chunk.offset)
  FROM scheduled_task_device_runs AS run
  JOIN scheduling_outputchunk AS chunk ON chunk.run_id = run.id
 WHERE run.execution_id = %s GROUP BY run.id
"""


def stored(database: str, execution: str) -> dict[tuple[str, str], bytes]:
    """The output that the server has, by run and device."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(STORED, [execution]).fetchall()
    return {(run, device): output for run, device, output in rows}


def status(database: str, execution: str) -> str:
    """Asked of the database: the web process is away for a while."""
    sql = "SELECT status FROM scheduled_task_executions WHERE id = %s"
    with psycopg.connect(database) as connection:
        row = connection.execute(sql, [execution]).fetchone()
    assert row is not None
    return str(row[0])


def until_all_came_back(agents: Fleet) -> None:
    welcomes = 0

    def came_back() -> bool:
        nonlocal welcomes
        welcomes += agents.tally().welcomes
        return welcomes >= 2 * AGENTS

    until(came_back, what="every agent's second welcome")


def test_a_fleet_that_streams_while_web_is_killed_loses_and_doubles_nothing(
    system: RunningSystem, database: str
) -> None:
    identities = enlist(database, AGENTS)
    habits = Habits(
        output_bytes=OUTPUT_BYTES,
        chunk_bytes=4_096,
        runs_for_seconds=4.0,
        reconnect_max_seconds=2.0,
        repeat_seconds=1.0,
    )
    with fleet(system.address, identities, habits) as agents:
        agents.connect()
        agents.until_online(AGENTS, 120)
        execution = execute(system, identities)
        until(lambda: len(stored(database, execution)) == AGENTS, what="output of each")
        system.child("uvicorn", "deployx.asgi:application").kill()
        until(lambda: status(database, execution) == "success", what="the execution's end")
        until(lambda: all(one.settled for one in agents.runs()), what="the last acknowledgement")
        until_all_came_back(agents)
        told = agents.runs()
    assert {(one.starts, one.outcome, one.settled) for one in told} == {
        (1, "succeeded", "succeeded")
    }
    assert stored(database, execution) == {
        (one.run, one.device): written(one.run, 0, OUTPUT_BYTES) for one in told
    }


def test_the_fleet_is_measured_in_all_that_its_report_names(system: RunningSystem) -> None:
    found = fleet_benchmark.measure_on(
        system, [10, 20], queued=400, repeats=1, idle_seconds=1.0, devices_away=30
    )
    found.others = [Other("ansible", 20, 10.0), Other("salt", why_not="not installed")]
    assert [one.agents for one in found.dispatches] == [10, 20]
    assert [one.agents for one in (*found.before_queued, *found.beside_queued)] == [10, 10]
    for one in (*found.dispatches, *found.beside_queued):
        assert one.seconds > one.floor > 0
        assert one.cpu.keys() >= {"web", "worker", "PostgreSQL", "agents"}
    assert all(one.pages for one in (*found.read_meanwhile, *found.read_elsewhere))
    text = fleet_report.render(found)
    assert f"| 20 | {found.of(20).seconds:.2f} |" in text
    assert "Beside 400 queued runs" in text
    assert "| ansible | 20 | 500.00 |" in text
    assert "not measured: not installed" in text
