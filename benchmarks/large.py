"""An execution on very many devices, all away: opened, released, cancelled; and another, aborted.

Nothing of it is sent anywhere. Timed is what people wait for (the answers to their requests), and the
release, which is the worker's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg

from benchmarks.simulated import enlist
from tests.running import BY_HAND, RunningSystem, until

NUMBER = 50_000
WITHIN_SECONDS = 300.0
_MEMBERS = """
INSERT INTO devices_devicegroup_devices (devicegroup_id, device_id) SELECT %s, unnest(%s::uuid[])
"""
_PENDING = """
SELECT 1 FROM scheduled_task_device_runs WHERE execution_id = %s AND status = 'pending' LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Large:
    """Seconds for so many devices."""

    number: int
    opened: float
    released: float
    cancelled: float
    aborted: float


def measure_on(system: RunningSystem, database_url: str, number: int = NUMBER) -> Large:
    task = _task(system, database_url, number)
    with psycopg.connect(database_url, autocommit=True) as connection:
        first, opened = _execute(system, task)
        released = _until_released(connection, first)
        _, cancelled = _timed(system, f"/api/schedule/executions/{first}/cancel")
        second, _ = _execute(system, task)
        _until_released(connection, second)
        _, aborted = _timed(system, f"/api/schedule/executions/{second}/abort")
    return Large(number, opened, released, cancelled, aborted)


def _task(system: RunningSystem, database_url: str, number: int) -> str:
    ids = [one.id for one in enlist(database_url, number, "large")]
    group = system.post("/api/groups", {"name": "Large"})["id"]
    with psycopg.connect(database_url) as connection:
        connection.execute(_MEMBERS, [group, ids])
    body = {
        "name": "Large",
        "task_type": "command",
        "command_payload": {"command": "true", "shell": "sh"},
        "group_ids": [group],
        **BY_HAND,
    }
    return str(system.post("/api/schedule/tasks", body)["id"])


def _execute(system: RunningSystem, task: str) -> tuple[str, float]:
    return _timed(system, f"/api/schedule/tasks/{task}/execute")


def _timed(system: RunningSystem, path: str) -> tuple[str, float]:
    """The execution's id, and how long the answer took."""
    began = time.perf_counter()
    answer = system.post(path, status=202)
    return str(answer["id"]), time.perf_counter() - began


def _until_released(connection: psycopg.Connection, execution: str) -> float:
    """Seconds until no run of it is left pending."""
    began = time.perf_counter()

    def is_released() -> bool | None:
        return connection.execute(_PENDING, [execution]).fetchone() is None or None

    until(is_released, WITHIN_SECONDS, what="the release of all runs")
    return time.perf_counter() - began
