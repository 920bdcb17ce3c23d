"""How long after its due time the first line of a task's output is stored, on the whole system.

Starts the system as `make up` does, with data of its own, and schedules tasks for its local agent.
Everything is on one machine, so that one clock measures all of it.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from benchmarks import bare
from tests.running import RunningSystem, running_system

DUE_IN_SECONDS = 3.0
# No whole seconds: the tasks come due at every part of beat's second.
APART_SECONDS = 1.37
WITHIN_SECONDS = 60.0
LOOK_SECONDS = 0.002

_FIRST_OUTPUT = """
SELECT convert_from(chunk.data, 'UTF8')
  FROM scheduling_outputchunk chunk
  JOIN scheduled_task_device_runs run ON run.id = chunk.run_id
 WHERE run.task_id = %s AND chunk.offset = 0
"""


@dataclass(frozen=True, slots=True)
class FirstLine:
    """Seconds. `started` counts from the due time to the command's own start on the device, `stored`
    to its first line in the database, where pages and API read it; `floor` is one bare `sh -c` and
    one exchange of a run's frames."""

    started: tuple[float, ...]
    stored: tuple[float, ...]
    floor: float

    @property
    def median(self) -> float:
        return statistics.median(self.stored)

    @property
    def ratio(self) -> float:
        return self.median / self.floor


def measure(repeats: int = 20, floor_rounds: int = 50) -> FirstLine:
    floor = bare.measure(floor_rounds)
    with running_system() as system:
        measure_on(system, 1, floor)  # loads what is loaded once
        return measure_on(system, repeats, floor)


def measure_on(system: RunningSystem, repeats: int, floor: float) -> FirstLine:
    """The same on a system that runs already, whose local agent is online."""
    with _database(system) as connection:
        measured = _lateness(system, connection, repeats)
    started, stored = zip(*measured, strict=True)
    return FirstLine(started, stored, floor)


def _lateness(
    system: RunningSystem, connection: psycopg.Connection[tuple[str]], repeats: int
) -> list[tuple[float, float]]:
    """The seconds from due to the command's start and to its stored line, of so many tasks."""
    first = datetime.now(UTC) + timedelta(seconds=DUE_IN_SECONDS)
    device = system.device()["id"]
    tasks = [
        _schedule(system, device, first + timedelta(seconds=number * APART_SECONDS))
        for number in range(repeats)
    ]
    return [_late(connection, task) for task in tasks]


def _schedule(system: RunningSystem, device: str, due: datetime) -> dict[str, Any]:
    body = {
        "name": "First line",
        "task_type": "command",
        "command_payload": {"command": "date +%s.%N", "shell": "sh"},
        "device_ids": [device],
        "recurrence_type": "once",
        "recurrence_config": {"run_at": due.isoformat()},
    }
    task: dict[str, Any] = system.post("/api/schedule/tasks", body)
    return task


def _database(system: RunningSystem) -> psycopg.Connection[tuple[str]]:
    """Where the line is looked for: a held request would add its own time."""
    return psycopg.connect(system.database_url, autocommit=True)


def _late(connection: psycopg.Connection[tuple[str]], task: dict[str, Any]) -> tuple[float, float]:
    due = datetime.fromisoformat(task["next_run_time"]).timestamp()
    deadline = due + WITHIN_SECONDS
    time.sleep(max(0.0, due - time.time()))
    while (row := connection.execute(_FIRST_OUTPUT, [task["id"]]).fetchone()) is None:
        if time.time() > deadline:
            raise TimeoutError(f"No output {WITHIN_SECONDS:.0f} s after it was due.")
        time.sleep(LOOK_SECONDS)
    return float(row[0]) - due, time.time() - due
