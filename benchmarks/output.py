"""What a flood of output costs, and how soon a line is seen, on the whole system.

Starts the system as `make up` does, with data of its own. Its local agent runs the command that floods;
another agent, on the same machine, is the device next to it. One clock measures all of it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.report import p95
from benchmarks.spent import peak
from tests.faults.fleet import fleet
from tests.running import BY_HAND, CHECKOUT, RunningSystem, running_system, until

MIB = 1024 * 1024
LINES = 40
LINE = "i=0; while [ $i -lt {lines} ]; do date +%s.%N; sleep 0.{pause}; i=$((i+1)); done"
# 4/3 as many bytes as are read: nothing in it repeats, so that nothing of it can be compressed away.
FLOOD = "head -c {read} /dev/urandom | base64 -w 0"
TIMED = "b=$(date +%s.%N); {command}; e=$(date +%s.%N); echo $b $e > {file}"
DELIVERED_WITHIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds from when a line was written until somebody had read it, by `?wait=`, which pages use
    as well, and by `schedule run --wait`."""

    held: tuple[float, ...]
    command_line: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Flood:
    """Seconds the command took, alone into /dev/null, a file and a pipe, and by the agent; bytes of
    the web process's memory; seconds from queued to result of an empty run next to it."""

    size: int
    alone: dict[str, float]
    by_agent: float
    delivered: float
    memory_before: int
    memory_peak: int
    memory_after: int
    quiet: tuple[float, ...]
    meanwhile: tuple[float, ...]
    written_ahead: int
    output: dict[str, Any]
    stored: int

    @property
    def ratio(self) -> float:
        """Of the command's time by the agent and into a pipe that is only read."""
        return self.by_agent / self.alone["pipe"]


@dataclass(frozen=True, slots=True)
class Output:
    seen: Seen
    flood: Flood


def measure(size: int = 1024 * MIB, runs: int = 15) -> Output:
    with running_system() as system, tempfile.TemporaryDirectory(prefix="deployx-flood-") as folder:
        system.device()
        return Output(measure_lines(system), measure_flood(system, Path(folder), size, runs))


def measure_lines(system: RunningSystem, lines: int = LINES) -> Seen:
    return Seen(_seen_by_held_requests(system, lines), _seen_by_command_line(system, lines))


def measure_flood(system: RunningSystem, folder: Path, size: int, runs: int) -> Flood:
    with fleet(system, folder, 1) as others, _database(system) as database:
        other = others.ids[0]
        command = FLOOD.format(read=size * 3 // 4)
        alone = {name: _alone(command, into, folder) for name, into in _INTO.items()}
        _empty_run(system, other)  # loads what is loaded once
        quiet = tuple(_empty_run(system, other) for _ in range(runs))
        web = system.child("uvicorn", "deployx.asgi:application")
        before, written = web.memory_info().rss, _written_ahead(database)
        with peak(web) as most:
            began = time.monotonic()
            run_id = _start(system, TIMED.format(command=command, file=folder / "agent"))
            # What the command costs is its own machine's; next to it is felt what the server does.
            until((folder / "agent").exists, what="the command's end")
            meanwhile = tuple(_empty_run(system, other) for _ in range(runs))
            until(
                lambda: _run(system, run_id)["finished_at"],
                DELIVERED_WITHIN_SECONDS,
                what="the flood's end",
            )
            delivered = time.monotonic() - began
        return Flood(
            size=size,
            alone=alone,
            by_agent=_took(folder / "agent"),
            delivered=delivered,
            memory_before=before,
            memory_peak=most.bytes,
            memory_after=web.memory_info().rss,
            quiet=quiet,
            meanwhile=meanwhile,
            written_ahead=_written_ahead(database) - written,
            output=system.output(run_id),
            stored=_stored(database, run_id),
        )


_INTO = {"null": "> /dev/null", "file": "> {folder}/out", "pipe": "| cat > /dev/null"}


def _alone(command: str, into: str, folder: Path) -> float:
    line = TIMED.format(command=f"{command} {into.format(folder=folder)}", file=folder / "alone")
    subprocess.run(["/bin/sh", "-c", line], check=True)
    (folder / "out").unlink(missing_ok=True)
    return _took(folder / "alone")


def _took(file: Path) -> float:
    began, ended = map(float, file.read_text().split())
    return ended - began


def _start(system: RunningSystem, command: str, device: str = "") -> str:
    body = {
        "name": "Output",
        "task_type": "command",
        "command_payload": {"command": command, "shell": "sh"},
        "device_ids": [device or system.device()["id"]],
    }
    execution = system.post("/api/schedule/executions", body, status=202)
    found: list[dict[str, Any]] = until(lambda: system.runs(execution["id"]), what="its run")
    return str(found[0]["id"])


def _run(system: RunningSystem, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = system.get(f"/api/schedule/runs/{run_id}")
    return found


def _empty_run(system: RunningSystem, device: str) -> float:
    """Seconds from released to its recorded result."""
    run_id = _start(system, "true", device)
    run = until(lambda: _ended(system, run_id), what="an empty run's end")
    return (_time(run, "finished_at") - _time(run, "queued_at")).total_seconds()


def _ended(system: RunningSystem, run_id: str) -> dict[str, Any] | None:
    run = _run(system, run_id)
    return run if run["finished_at"] else None


def _time(run: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(run[name])


def _lines(lines: int) -> str:
    return LINE.format(lines=lines, pause=27)


def _seen_by_held_requests(system: RunningSystem, lines: int) -> tuple[float, ...]:
    run_id = _start(system, _lines(lines))
    late: list[float] = []
    part: dict[str, Any] = {"next_offset": 0, "finished": False}
    while not part["finished"]:
        path = f"/api/schedule/runs/{run_id}/output"
        part = system.get(path, offset=part["next_offset"], wait=25)
        now = time.time()
        late += [now - float(line) for line in part["text"].split()]
    return tuple(late)


def _seen_by_command_line(system: RunningSystem, lines: int) -> tuple[float, ...]:
    body = {
        "name": "Output of lines",
        "task_type": "command",
        "command_payload": {"command": _lines(lines), "shell": "sh"},
        "device_ids": [system.device()["id"]],
        **BY_HAND,
    }
    task = system.post("/api/schedule/tasks", body)
    shown = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "schedule", "run", task["id"], "--wait"],
        cwd=CHECKOUT,
        env=system.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert shown.stdout is not None
    late = []
    for line in shown.stdout:
        try:
            written = float(line)
        except ValueError:
            continue
        late.append(time.time() - written)
    shown.wait()
    return tuple(late)


def _database(system: RunningSystem) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(system.database_url, autocommit=True)


def _written_ahead(database: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = database.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(row[0])


def _stored(database: psycopg.Connection[tuple[Any, ...]], run_id: str) -> int:
    row = database.execute(
        "SELECT sum(octet_length(data)) FROM scheduling_outputchunk WHERE run_id = %s", [run_id]
    ).fetchone()
    assert row is not None
    return int(row[0] or 0)


_TEXT = """
## Output

Load average before: {load}. A command on the system's local device, everything on one machine.

{lines} lines, each written with the time of its writing; until it was read (p50 · p95 · worst):

| seen by | |
|---|---|
| `?wait=`, as pages do | {held} |
| `schedule run --wait` | {command_line} |

A flood of {size:,} MiB (`head -c … /dev/urandom | base64`):

| | |
|---|---|
| the command alone, into /dev/null · a file · a pipe | {null:.2f} s · {file:.2f} s · {pipe:.2f} s |
| the same command, run by the agent | {by_agent:.2f} s, **{ratio:.2f}** times the pipe |
| until its result was recorded (1 MiB a second) | {delivered:.0f} s |
| the web process's memory before · peak · after | {before:.0f} · {peak:.0f} · {after:.0f} MiB |
| written ahead to PostgreSQL's log | {wal:.0f} MiB |
| kept · dropped and counted, in gaps | {kept:.1f} MiB · {dropped:.1f} MiB, {gaps} |
| an empty run on the device next to it, from queued to its result, without | {quiet} |
| the same during the flood | {meanwhile}, **{slower:.2f}** times the median |
"""


def render(found: Output, load: str) -> str:
    flood = found.flood
    return _TEXT.format(
        load=load,
        lines=len(found.seen.held),
        held=_spread(found.seen.held),
        command_line=_spread(found.seen.command_line),
        size=flood.size // MIB,
        **flood.alone,
        by_agent=flood.by_agent,
        ratio=flood.ratio,
        delivered=flood.delivered,
        before=flood.memory_before / MIB,
        peak=flood.memory_peak / MIB,
        after=flood.memory_after / MIB,
        wal=flood.written_ahead / MIB,
        kept=flood.stored / MIB,
        dropped=flood.output["dropped_bytes"] / MIB,
        gaps=len(flood.output["gaps"]),
        quiet=_spread(flood.quiet),
        meanwhile=_spread(flood.meanwhile),
        slower=statistics.median(flood.meanwhile) / statistics.median(flood.quiet),
    )


def _spread(seconds: tuple[float, ...]) -> str:
    return f"{statistics.median(seconds):.2f} · {p95(seconds):.2f} · {max(seconds):.2f} s"
