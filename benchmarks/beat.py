"""Our beat beside django-celery-beat's own, in one run on one PostgreSQL, over numbers of tasks.

Each task but the burst's is an interval of a day, which both schedulers have to know of. The burst is
1,000 one-off tasks due within one second, each on a device that is away; a real worker opens them.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from redis import Redis

from tests.beating import STOCK, Installation, installation
from tests.running import CHECKOUT, until

OURS = "scheduling.beat:FleetScheduler"
NUMBERS = (1_000, 10_000, 50_000)
SCHEDULERS = {"ours": OURS, "stock": STOCK}
BURST, DEVICES = 1_000, 100
CHANGES, IDLE_ROUNDS = 3, 30
PATIENCE_SECONDS = 400.0
LOOK_SECONDS = 0.05

_TEXT = """
## The beat, beside django-celery-beat's own

In one run on one PostgreSQL; load average before: {load}. Each task is an interval of a day; the burst
is {burst:,} one-off tasks due within one second, each on a device that is away, opened by one worker
with two processes. A change is an edit that makes a task due at once, until it is announced. How late
the burst was is counted to the message, and to the execution's row as another session sees it (p50 ·
p99), for {patience:.0f} s at most.

| tasks | scheduler | start | idle round | one change | memory | message | execution | not opened |
|---|---|---|---|---|---|---|---|---|
{rows}

At {most:,} tasks ours starts **{start:.0f}** times and sees a change **{change:.0f}** times as fast.
"""
_IDLE = """
WITH every_day AS (
    INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES (1, 'days') RETURNING id
), mirrored AS (
    UPDATE django_celery_beat_periodictask
       SET interval_id = every_day.id, clocked_id = NULL, one_off = false, last_run_at = now()
      FROM every_day WHERE clocked_id IS NOT NULL AND enabled
)
UPDATE scheduled_tasks
   SET recurrence_type = 'interval', recurrence_config = '{"every": 1, "unit": "days"}',
       created_at = next_run_time - interval '1 day'
 WHERE recurrence_type = 'once' AND next_run_time IS NOT NULL
RETURNING id::text
"""
_DEVICE = """
INSERT INTO devices_device (id, name, hostname, os, architecture, agent_version, public_key, tags,
                            facts, enrolled_at, is_online, is_ready, in_recovery)
VALUES (%s, 'away', '', 'linux', '', '', %s, '{}', '{}', now(), false, false, false)
RETURNING id::text
"""
_DELETE = """
DELETE FROM scheduled_task_device_runs;
DELETE FROM scheduled_task_executions;
DELETE FROM scheduled_tasks WHERE recurrence_type = 'once' OR next_run_time < now();
DELETE FROM django_celery_beat_periodictask AS mirrored
 WHERE task = 'scheduling.tasks.open_due'
   AND NOT EXISTS (SELECT FROM scheduled_tasks WHERE periodic_task_id = mirrored.id);
DELETE FROM django_celery_beat_clockedschedule
"""
_TELL_STOCK = """
INSERT INTO django_celery_beat_periodictasks (ident, last_update) VALUES (1, now())
ON CONFLICT (ident) DO UPDATE SET last_update = now() RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds, bytes of memory; of a burst, how late each message and each committed execution was,
    and how many of either never came in the time there was."""

    tasks: int
    scheduler: str
    start: float
    idle: float
    change: float
    memory: int
    messages: tuple[float, ...]
    executions: tuple[float, ...]

    @property
    def lost(self) -> int:
        return BURST - len(self.executions)


def measure(numbers: Sequence[int] = NUMBERS) -> list[Measured]:
    with installation(DEPLOYX_RECONCILE="off", DEPLOYX_LOG_LEVEL="WARNING") as made:
        devices = [_device(made) for _number in range(DEVICES)]
        made.worker()
        found, present = [], 0
        for number in numbers:
            idle = _add_idle_tasks(made, number - present)
            present = number
            for name in SCHEDULERS:
                changed = [idle.pop() for _change in range(CHANGES)]
                found.append(_measure_one(made, number, name, changed, devices))
    return found


def _device(made: Installation) -> str:
    ((device,),) = made.query(_DEVICE, uuid4(), uuid4().bytes * 2)
    return str(device)


def _add_idle_tasks(made: Installation, number: int) -> list[str]:
    made.tasks(number, begin=86_400, apart=0.001)
    rows = made.query(_IDLE)
    made.database.execute("VACUUM ANALYZE")
    return [task for (task,) in rows]


def _measure_one(
    made: Installation, number: int, name: str, changed: Sequence[str], devices: Sequence[str]
) -> Measured:
    with _beat(made, SCHEDULERS[name]) as ask:
        start = ask("start")
        idle = ask("idle", str(IDLE_ROUNDS))
        change = min(ask("change", task) for task in changed)
        begin = 5 + 3 * start
        due = made.tasks(BURST, begin=begin, apart=1 / BURST, devices=devices)
        made.query(_TELL_STOCK)
        with _Watch(made, due) as watch:
            served = ask("serve", done=watch.all_there.wait, patience=begin + PATIENCE_SECONDS)
    _tidy(made)
    announced = served["announced"]
    return Measured(
        number, name, start, idle, change, served["memory"],
        tuple(sorted(announced[task] - due[task].timestamp() for task in due if task in announced)),
        tuple(sorted(seen - due[task].timestamp() for task, seen in watch.seen.items())),
    )  # fmt: skip


@contextmanager
def _beat(made: Installation, scheduler: str) -> Iterator[Any]:
    """A function that gives the measured beat a command and answers its result."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.measured_beat", scheduler],
        cwd=CHECKOUT,
        env=made.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        wire_in, wire_out = process.stdin, process.stdout

        def ask(*words: str, done: Any = None, patience: float = 0) -> Any:
            wire_in.write(" ".join(words) + "\n")
            wire_in.flush()
            if done is not None:
                done(patience)
                wire_in.close()
            return json.loads(wire_out.readline())

        try:
            yield ask
        finally:
            process.kill()


@dataclass
class _Watch:
    """When each of these tasks' executions was first to be seen by another session."""

    made: Installation
    due: dict[str, Any]
    seen: dict[str, float] = field(default_factory=dict)
    all_there: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> _Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        first = min(self.due.values())
        sql = "SELECT task_id::text FROM scheduled_task_executions WHERE scheduled_for >= %s"
        with psycopg.connect(self.made.services.database_url, autocommit=True) as connection:
            while not self._over.wait(LOOK_SECONDS) and not self.all_there.is_set():
                rows = connection.execute(sql, [first]).fetchall()
                moment = time.time()
                for (task,) in rows:
                    if task in self.due:
                        self.seen.setdefault(task, moment)
                if len(self.seen) == len(self.due):
                    self.all_there.set()


def _tidy(made: Installation) -> None:
    """Nothing of this burst is left for the next: neither messages nor tasks."""
    with Redis.from_url(made.services.redis_url) as client:
        client.flushall()
    until(lambda: _delete(made), what="the burst deleted")
    made.database.execute("VACUUM ANALYZE")


def _delete(made: Installation) -> bool:
    """Whether it worked: the worker may still be at some of it."""
    try:
        made.database.execute(_DELETE)
    except (psycopg.errors.DeadlockDetected, psycopg.errors.ForeignKeyViolation):
        return False
    return True


def render(found: Sequence[Measured], load: str) -> str:
    most = max(one.tasks for one in found)
    ours, stock = (
        next(one for one in found if (one.tasks, one.scheduler) == (most, name))
        for name in ("ours", "stock")
    )
    return _TEXT.format(
        load=load,
        burst=BURST,
        patience=PATIENCE_SECONDS,
        rows="\n".join(_row(one) for one in found),
        most=most,
        start=stock.start / ours.start,
        change=stock.change / ours.change,
    )


def _row(one: Measured) -> str:
    cells = (
        f"{one.tasks:,}",
        one.scheduler,
        f"{one.start * 1000:,.0f} ms",
        f"{one.idle * 1000:.1f} ms",
        f"{one.change * 1000:,.0f} ms",
        f"{one.memory / 2**20:.0f} MiB",
        _late(one.messages),
        _late(one.executions),
        f"{one.lost:,}",
    )
    return f"| {' | '.join(cells)} |"


def _late(seconds: Sequence[float]) -> str:
    """The percentiles of all that were to come: what never came is later than all that did."""
    padded = [*seconds, *[math.inf] * (BURST - len(seconds))]
    return " · ".join(_seconds(padded[math.ceil(BURST * part) - 1]) for part in (0.5, 0.99))


def _seconds(late: float) -> str:
    return f"{late:.2f} s" if late < math.inf else f"over {PATIENCE_SECONDS:.0f} s"
