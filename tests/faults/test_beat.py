"""Whatever happens to beats, PostgreSQL and Redis while tasks fall due: each occurrence is opened
once, none is missing, and how late each was can be read.

The tasks target nobody, so that an execution's row is all there is to it; the last test has an agent.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis

from deployx.supervisor import Process
from tests.beating import Installation, installation
from tests.end_to_end.conftest import command, once_in
from tests.running import running_system, until

BEATS = ("first", "second", "third")
# An announcement that is lost is made again after 30 s, by a beat that may have to start first.
ALL_OPENED_WITHIN_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Storm:
    """So many tasks a second for so long, and what befalls those who are to open them."""

    seconds: float
    tasks_per_second: int
    kills: int

    @property
    def number(self) -> int:
        return round(self.seconds * self.tasks_per_second)


class Beats:
    """One at first, then two, then three; who is killed is started again."""

    def __init__(self, made: Installation) -> None:
        self._made = made
        self._running: dict[str, Process] = {}
        self.killed = 0

    def join(self) -> None:
        name = BEATS[len(self._running)]
        self._running[name] = self._made.beat(name)

    def kill(self, chance: random.Random) -> None:
        name = chance.choice(sorted(self._running))
        self._running[name].kill()
        self._running[name] = self._made.beat(name)
        self.killed += 1

    @property
    def are_alive(self) -> bool:
        return not any(one.has_ended for one in self._running.values())


def flush(made: Installation) -> None:
    with Redis.from_url(made.services.redis_url) as client:
        client.flushall()


def carry_out(made: Installation, beats: Beats, storm: Storm, chance: random.Random) -> None:
    """Everything at its moment, counted from now on."""
    events: list[tuple[float, Callable[[], None]]] = [
        (0.10, beats.join),
        (0.30, beats.join),
        (0.40, lambda: made.services.restart("postgres")),
        (0.60, lambda: made.services.restart("redis")),
        (0.80, lambda: flush(made)),
    ]
    events += [(chance.random(), lambda: beats.kill(chance)) for _number in range(storm.kills)]
    began = time.monotonic()
    for moment, event in sorted(events, key=lambda one: one[0]):
        time.sleep(max(0.0, began + moment * storm.seconds - time.monotonic()))
        event()


def weather(
    storm: Storm, seed: int, record: Callable[[str, object], None], **settings: Any
) -> None:
    """The storm, and what must be true after it."""
    chance = random.Random(seed)
    with installation(**settings) as made:
        worker, beats = made.worker(), Beats(made)
        beats.join()
        until(lambda: made.alive("beat") or None, what="the first beat")
        due = made.tasks(storm.number, begin=1.0, apart=1 / storm.tasks_per_second)
        carry_out(made, beats, storm, chance)
        until(
            lambda: (
                made.query("SELECT count(*) FROM scheduled_task_executions")[0][0] >= len(due)
                or None
            ),
            ALL_OPENED_WITHIN_SECONDS,
            what="every occurrence opened",
        )
        assert beats.killed == storm.kills
        assert beats.are_alive, "a beat ended by itself"
        assert not worker.has_ended
        opened = made.query(
            "SELECT task_id::text, scheduled_for, due_at, created_at, status, opened_by"
            " FROM scheduled_task_executions"
        )
        left = made.query("SELECT count(*) FROM scheduled_tasks WHERE next_run_time IS NOT NULL")
    check(due, opened, record, reconciles=settings.get("DEPLOYX_RECONCILE") == "on")
    assert left == [(0,)]


def check(
    due: dict[str, Any],
    opened: list[tuple[Any, ...]],
    record: Callable[[str, object], None],
    *,
    reconciles: bool,
) -> None:
    assert len(opened) == len(due)
    assert {task: scheduled_for for task, scheduled_for, *_ in opened} == due
    assert {status for *_, status, _by in opened} == {"skipped"}
    assert {by for *_, by in opened} <= ({"beat", "reconcile"} if reconciles else {"beat"})
    assert all(due_at == scheduled_for for _, scheduled_for, due_at, *_ in opened)
    late = sorted(created_at - due_at for _, _, due_at, created_at, *_ in opened)
    assert late[0] >= timedelta(0), "opened before it was due"
    seconds = [one.total_seconds() for one in late]
    percentiles = statistics.quantiles(seconds, n=100)
    lateness = {"p50": percentiles[49], "p99": percentiles[98], "most": seconds[-1]}
    for name, value in lateness.items():
        record(f"lateness {name}", round(value, 3))
    words = ", ".join(f"{name} {value:.2f} s" for name, value in lateness.items())
    sys.stdout.write(f"{len(due)} occurrences, late by {words}\n")


@pytest.mark.timeout(900)
def test_a_scheduler_alone_survives_a_short_storm_under_a_clock_an_hour_ahead(
    record_property: Callable[[str, object], None],
) -> None:
    storm = Storm(seconds=15, tasks_per_second=20, kills=5)
    weather(storm, 5, record_property, clock_ahead_seconds=3_600, DEPLOYX_RECONCILE="off")


@pytest.mark.faults
@pytest.mark.alone
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("reconcile", "ahead"), [("off", 0), ("off", 3_600), ("on", 0), ("on", -3_600)]
)
def test_a_long_storm(
    record_property: Callable[[str, object], None], reconcile: str, ahead: int
) -> None:
    storm = Storm(seconds=100, tasks_per_second=200, kills=50)
    seed = int(os.environ.get("DEPLOYX_TEST_SEED", "5")) + ahead
    weather(storm, seed, record_property, clock_ahead_seconds=ahead, DEPLOYX_RECONCILE=reconcile)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_with_a_real_agent_each_command_runs_once_while_beat_is_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    with running_system() as system:
        tasks = [
            system.post(
                "/api/schedule/tasks",
                command(system, f"echo x >> {tmp_path}/{number}", **once_in(15 + number)),
            )
            for number in range(20)
        ]
        beat: psutil.Process = system.child("celery", "beat")
        until(lambda: system.executions(tasks[0]["id"]) or None, what="the first one due")
        for _kill in range(5):
            time.sleep(chance.uniform(0.5, 3.0))
            beat.kill()
            beat = system.replacement(beat, "celery", "beat")
        for task in tasks:
            (opened,) = until(
                lambda task=task: system.executions(task["id"]), 180, what="it opened"
            )  # type: ignore[misc]
            assert system.ended(opened["id"], 180)["status"] == "success"
    ran = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert ran == {str(number): "x\n" for number in range(20)}
