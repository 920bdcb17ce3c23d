"""Compares what the devices' ledgers say with what the database says, once all is calm.

It reads both with means of its own: no verb, model or judgement of DeployX is asked.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from deployx.embedded.discovery import Running
from tests.faults.ledger import Ledger, Trace
from tests.faults.load import Load
from tests.faults.work import UNKNOWN
from tests.running import CHECKOUT, Served

UNENDED = frozenset({"pending", "queued", "claimed", "running"})
NEVER_RAN = frozenset({"rejected", "expired", "skipped"})
AGAINST = frozenset({"failed", "timed_out", "rejected", "expired", "lost"})
SHOWN = 20

_RUNS = """
SELECT run.id::text, execution_id::text, device_id::text, device_name, run.status, attempt,
       rolls_back_id, run.started_at IS NOT NULL AS has_started, exit_code, was_lost, output_next,
       run.cancel_requested_at IS NOT NULL AS is_cancelled, task_type <> 'command' AS is_traceless
  FROM scheduled_task_device_runs AS run
  JOIN scheduled_task_executions AS execution ON execution.id = execution_id
 ORDER BY execution_id, device_id, attempt
"""
_EXECUTIONS = """
SELECT id::text, status, cancel_requested_at IS NOT NULL AS is_cancelled, result,
       (definition->'rollout'->>'success_threshold_percent')::int AS threshold
  FROM scheduled_task_executions ORDER BY id
"""
_PIECES = """
SELECT run_id::text AS run, "offset", stream, data, 0 AS dropped
  FROM scheduling_outputchunk WHERE run_id = ANY(%(runs)s::uuid[])
 UNION ALL
SELECT run_id::text, "offset", '', '', bytes
  FROM scheduling_outputgap WHERE run_id = ANY(%(runs)s::uuid[])
 ORDER BY 1, 2
"""
_OF_TASKS = """
SELECT task_id::text AS task, array_agg(id::text) AS executions FROM scheduled_task_executions
 WHERE task_id = ANY(%(tasks)s::uuid[]) AND trigger = 'manual' GROUP BY task_id
"""
_OPEN = """
SELECT status, count(*) FROM scheduled_task_device_runs WHERE finished_at IS NULL GROUP BY status
 UNION ALL
SELECT 'execution', count(*) FROM scheduled_task_executions WHERE completed_at IS NULL
 ORDER BY 1
"""
_CALM_NOW = (("execution", 0),)


def results_file() -> Path:
    """Where every check adds a line of JSON; DEPLOYX_FAULT_RESULTS names another."""
    return Path(os.environ.get("DEPLOYX_FAULT_RESULTS") or CHECKOUT / "test-results/faults.jsonl")


@dataclass(slots=True)
class Findings:
    """The figures of one case. `cases` is how often the fault was tried; `lost` of the runs ended
    so; `doubled` were started more than once; `dropped_bytes` of output are marked as such."""

    case: str
    seed: int
    cases: int
    runs: int = 0
    kills: int = 0
    succeeded: int = 0
    lost: int = 0
    doubled: int = 0
    dropped_bytes: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)


class Violated(AssertionError):
    """A promise was broken; the text says which, and with which seed."""


class Checker:
    """One for the life of a system. Each `check` looks at everything there is, and counts what has
    come since the last one; a run that had ended may since have changed only if it was lost."""

    def __init__(self, system: Served, ledger: Ledger) -> None:
        running = Running.read(system.home)
        assert running is not None
        self.database_url = running.database_url
        self._ledger = ledger
        self._ended: dict[str, str] = {}
        self._told: set[str] = set()

    def query(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def runs(self) -> int:
        """How many there are; 0 while the database is away."""
        try:
            ((number,),) = self._rows("SELECT count(*) FROM scheduled_task_device_runs")
        except psycopg.Error:
            return 0
        return int(number)

    def open_runs(self) -> int:
        """How many have not ended; 0 while the database is away."""
        rows = self._progress()
        return sum(row[1] for row in rows if row[0] in UNENDED)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        # One that hangs is away as well.
        with psycopg.connect(self.database_url, connect_timeout=2) as connection:
            return connection.execute(sql).fetchall()

    def wait_until_calm(
        self, seconds: float = 180.0, *, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Every run and every execution has ended. Fails with what had not, once nothing more has
        happened for so long: a slow machine is not a broken one. `meanwhile` is done again and
        again."""
        before, since = None, time.monotonic()
        while (now := self._progress()) != _CALM_NOW:
            meanwhile()
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() - since > seconds:
                left = [row for row in self.query(_RUNS) if row["status"] in UNENDED]
                raise Violated(f"nothing happened for {seconds:.0f} s: {left[:SHOWN]}")
            time.sleep(0.1)

    def _progress(self) -> tuple[Any, ...]:
        """What is open, and in which states; nothing while the database is away."""
        try:
            return tuple(self._rows(_OPEN))
        except psycopg.Error:
            return (("away", 0),)

    def check(
        self,
        case: str,
        *,
        seed: int,
        cases: int = 1,
        kills: int = 0,
        seconds: float = 0.0,
        load: Load | None = None,
    ) -> Findings:
        """Raises Violated; writes the figures down. What `load` was answered is looked up too."""
        found = Findings(case, seed, cases, kills=kills, seconds=round(seconds, 1))
        runs, traces = self.query(_RUNS), self._ledger.traces()
        by_id = {run["id"]: run for run in runs}
        found.violations += [
            f"{run} started and is not in the database" for run in traces.keys() - by_id.keys()
        ]
        for run in runs:
            self._look_at(run, traces.get(run["id"]), found)
        for execution in self.query(_EXECUTIONS):
            of_it = [run for run in runs if run["execution_id"] == execution["id"]]
            found.violations += _wrongly_judged(execution, of_it)
        self._check_output(traces, found)
        if load is not None:
            found.violations += self._wrongly_answered(load)
        self._ended |= {run["id"]: run["status"] for run in runs}
        # What an earlier case broke stays broken, and is that case's alone.
        found.violations = [text for text in found.violations if text not in self._told]
        self._told |= set(found.violations)
        _write_down(found)
        return found

    def _wrongly_answered(self, load: Load) -> Iterator[str]:
        """Each key opened one execution, the one its answer names, and nothing else did."""
        by_task: dict[str, set[str]] = defaultdict(set)
        for task, execution in load.answered.values():
            if execution in by_task[task]:
                yield f"execution {execution} answers two keys"
            by_task[task].add(execution)
        for row in self.query(_OF_TASKS, tasks=list(by_task)):
            if by_task[row["task"]] != set(row["executions"]):
                odd = by_task[row["task"]] ^ set(row["executions"])
                yield f"task {row['task']}: executions opened or answered only: {sorted(odd)}"

    def _look_at(self, run: dict[str, Any], trace: Trace | None, found: Findings) -> None:
        before = self._ended.get(run["id"])
        if before is None:
            found.runs += 1
            found.succeeded += run["status"] == "succeeded"
            found.lost += run["was_lost"]
            found.doubled += trace is not None and len(trace.starts) > 1
        elif before not in (run["status"], "lost"):
            found.violations.append(f"{run['id']} was {before} and is {run['status']}")
        found.violations += [f"{run['id']} {text}: {run} {trace}" for text in broken(run, trace)]

    def _check_output(self, traces: dict[str, Trace], found: Findings) -> None:
        fresh = [run for run in traces if run not in self._ended]
        for start in range(0, len(fresh), 500):
            pieces = self.query(_PIECES, runs=fresh[start : start + 500])
            by_run = {run: list(group) for run, group in groupby(pieces, lambda one: one["run"])}
            ends = {
                row["id"]: row
                for row in self.query(
                    "SELECT id::text, output_next, status FROM scheduled_task_device_runs"
                    " WHERE id = ANY(%(runs)s::uuid[])",
                    runs=fresh[start : start + 500],
                )
            }
            for run in fresh[start : start + 500]:
                if run in ends:
                    of_run = by_run.get(run, [])
                    found.dropped_bytes += sum(piece["dropped"] for piece in of_run)
                    found.violations += [
                        f"{run} {text}" for text in wrong_output(ends[run], traces[run], of_run)
                    ]


def broken(run: dict[str, Any], trace: Trace | None) -> Iterator[str]:
    """The promises P1 to P4 on one run that should have ended."""
    status = run["status"]
    if status in UNENDED:
        yield "has not ended"
    elif status in NEVER_RAN or (status == "cancelled" and not run["has_started"]):
        if trace is not None:
            yield f"is {status} and ran"
    elif trace is None:
        if status == "succeeded" and not run["is_traceless"]:
            yield "succeeded without a start"
    else:
        yield from _ran_wrongly(run, trace)


def _ran_wrongly(run: dict[str, Any], trace: Trace) -> Iterator[str]:
    status = run["status"]
    if len(trace.starts) > 1:
        yield "started twice"
    if not run["has_started"] and not run["was_lost"]:
        yield "started without a GO"
    if status == "succeeded" and not trace.stands_whole:
        yield "succeeded without start and end"
    if trace.stands_whole and status not in ("succeeded", "lost") and not _was_ended(run):
        yield f"ran to its end and is {status}"
    if any(start.device not in (run["device_name"], UNKNOWN) for start in trace.starts):
        yield "ran on another device"
    if any(start.attempt != run["attempt"] for start in trace.starts):
        yield "ran as another attempt"
    if (
        status == "failed"
        and trace.exit_codes
        and run["exit_code"] not in (*trace.exit_codes, None)
    ):
        yield "failed with another exit code"


def _was_ended(run: dict[str, Any]) -> bool:
    """Cancelled or out of time in the moment between its last line and its exit."""
    return run["status"] == "timed_out" or bool(run["is_cancelled"])


def wrong_output(end: dict[str, Any], trace: Trace, pieces: list[dict[str, Any]]) -> Iterator[str]:
    """P6 on one run: every piece follows the one before it, each byte is the command's own, and a
    run that ended by itself has all of them or says how many were dropped."""
    if len(trace.starts) != 1:
        return
    wanted = trace.output()
    places, offset = {"stdout": 0, "stderr": 0}, 0
    has_gap = any(piece["dropped"] for piece in pieces)
    for piece in pieces:
        if piece["offset"] != offset:
            yield f"has a hole or an overlap in its output at {offset}"
            return
        offset += len(piece["data"]) + piece["dropped"]
        if piece["dropped"]:
            continue
        stream, data = piece["stream"], bytes(piece["data"])
        place = places[stream]
        at = wanted[stream].find(data, place) if has_gap else place
        if at < 0 or wanted[stream][at : at + len(data)] != data:
            yield f"has other output than it wrote at {piece['offset']}"
            return
        places[stream] = at + len(data)
    whole = sum(map(len, wanted.values()))
    if offset != end["output_next"]:
        yield f"has {offset} bytes of output and counts {end['output_next']}"
    if offset > whole or (offset < whole and end["status"] == "succeeded"):
        yield f"has {offset} bytes of output, dropped ones too, and wrote {whole}"


def _wrongly_judged(execution: dict[str, Any], runs: list[dict[str, Any]]) -> Iterator[str]:
    """An execution's end follows from each device's last attempt."""
    last = {run["device_id"] or run["id"]: run for run in runs if run["rolls_back_id"] is None}
    counts = Counter(run["status"] for run in last.values())
    if not runs and execution["status"] in ("skipped", "missed", "cancelled"):
        return
    expected = judgement(
        counts, execution["threshold"] or 100, is_cancelled=bool(execution["is_cancelled"])
    )
    if execution["status"] != expected:
        yield f"execution {execution['id']} is {execution['status']}, its runs say {dict(counts)}"
    told = {name: n for name, n in execution["result"].get("counts", {}).items() if n}
    if told != dict(counts):
        yield f"execution {execution['id']} counts {told}, its runs say {dict(counts)}"


def judgement(counts: Counter[str], threshold: int, *, is_cancelled: bool) -> str:
    succeeded = counts["succeeded"]
    judged = succeeded + sum(counts[status] for status in AGAINST)
    if is_cancelled:
        return "cancelled"
    if not judged:
        return "cancelled" if counts["cancelled"] else "skipped"
    if succeeded * 100 >= threshold * judged:
        return "success"
    return "partial" if succeeded else "failed"


def _write_down(found: Findings) -> None:
    """Good or bad, the figures are kept; then what is bad is raised."""
    file = results_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    line = {**asdict(found), "violations": len(found.violations)}
    with file.open("a") as results:
        results.write(json.dumps(line) + "\n")
    sys.stdout.write(f"{line}\n")
    if found.violations:
        shown = "\n".join(found.violations[:SHOWN])
        again = f"DEPLOYX_FAULT_SEED={found.seed}"
        raise Violated(f"{found.case}: {len(found.violations)} broken ({again})\n{shown}")
