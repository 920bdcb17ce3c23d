"""Whichever plug is pulled: nothing runs twice, nothing is lost, and the truth arrives."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from tests.end_to_end.conftest import command
from tests.running import CHECKOUT, RunningSystem, running_system, until

AGENT = ("devices.agent", "run")


def test_an_agent_killed_in_mid_command_reports_the_true_result_once(
    system: RunningSystem, tmp_path: Path
) -> None:
    began, may_end = tmp_path / "began", tmp_path / "may end"
    line = f"echo x >> {began}; until test -e '{may_end}'; do sleep 0.1; done; echo done; exit 5"
    task = system.post("/api/schedule/tasks", command(system, line))
    opened = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    until(began.exists, what="the command began")
    agent = system.child(*AGENT)
    agent.kill()
    may_end.touch()
    system.replacement(agent, *AGENT)
    execution = system.ended(opened["id"])
    (run,) = system.runs(execution["id"])
    assert (run["status"], run["exit_code"], run["was_lost"]) == ("failed", 5, False)
    assert system.output(run["id"])["text"] == "done\n"
    assert began.read_text() == "x\n"


def test_a_worker_killed_in_mid_dispatch_loses_nothing(
    system: RunningSystem, tmp_path: Path
) -> None:
    tasks = [
        system.post(
            "/api/schedule/tasks",
            command(
                system, f"echo x >> {tmp_path}/{number}", name=f"Burst {number}", is_due_soon=True
            ),
        )
        for number in range(12)
    ]
    first = tasks[0]["id"]
    until(lambda: system.executions(first), what="the burst to begin")
    worker = system.child("celery", "worker")
    worker.kill()
    for task in tasks:
        (opened,) = until(lambda task=task: system.executions(task["id"]), what="its execution")  # type: ignore[misc]
        assert system.ended(opened["id"])["status"] == "success"
    ran = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert ran == {str(number): "x\n" for number in range(12)}
    system.replacement(worker, "celery", "worker")


def test_two_beats_run_each_occurrence_once(system: RunningSystem, tmp_path: Path) -> None:
    with second_beat(system):
        tasks = [
            system.post(
                "/api/schedule/tasks",
                command(system, f"echo x >> {tmp_path}/{number}", is_due_soon=True),
            )
            for number in range(12)
        ]
        for task in tasks:
            (opened,) = until(lambda task=task: system.executions(task["id"]), what="its execution")  # type: ignore[misc]
            assert system.ended(opened["id"])["status"] == "success"
    ran = sorted(path.read_text() for path in tmp_path.iterdir())
    assert ran == ["x\n"] * 12


@contextmanager
def second_beat(system: RunningSystem) -> Iterator[None]:
    """Another beat beside the system's own, once it has said that it lives."""
    with (system.home / "second-beat.log").open("wb") as log:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "--app", "deployx", "beat", "--pidfile", ""],
            cwd=CHECKOUT,
            env=system.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: has_said_it_lives(system, beat.pid), what="the second beat")
        yield
    finally:
        beat.terminate()
        beat.wait(60)


def has_said_it_lives(system: RunningSystem, pid: int) -> bool:
    (number,) = query(
        system,
        "SELECT count(*) FROM scheduling_serviceheartbeat WHERE kind = 'beat' AND name LIKE %s",
        f"%:{pid}",
    )
    return number == 1


def test_a_payload_altered_in_the_database_is_refused_by_the_agent(
    system: RunningSystem, tmp_path: Path
) -> None:
    task = system.post("/api/schedule/tasks", command(system, f"touch {tmp_path}/honest"))
    agent = system.child(*AGENT)
    # While the supervisor stands still, it starts no new agent.
    os.kill(system.process.pid, signal.SIGSTOP)
    try:
        agent.kill()
        opened = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
        until(
            lambda: [one for one in system.runs(opened["id"]) if one["status"] == "queued"],
            what="the run queued",
        )
        payload = json.dumps({"commands": [f"touch {tmp_path}/forged"]}).encode()
        query(
            system,
            "UPDATE scheduled_task_executions SET payload = %s WHERE id = %s RETURNING 1",
            payload,
            opened["id"],
        )
    finally:
        os.kill(system.process.pid, signal.SIGCONT)
    execution = system.ended(opened["id"])
    (run,) = system.runs(execution["id"])
    assert run["status"] == "rejected"
    assert "digest_mismatch" in run["error_message"]
    assert list(tmp_path.iterdir()) == []


def query(system: RunningSystem, sql: str, *parameters: object) -> tuple[object, ...]:
    with psycopg.connect(system.database_url) as connection:
        row = connection.execute(sql, parameters).fetchone()
    assert row is not None
    return row


def test_with_broker_and_channel_layer_silent_everything_arrives_by_reconcile_and_poll(
    tmp_path: Path,
) -> None:
    faster = {"DEPLOYX_RECONCILE_SECONDS": "2", "DEPLOYX_POLL_SECONDS": "3"}
    with running_system(**faster) as system:
        device = system.device()
        redis = valkey(system)
        redis.suspend()
        try:
            task = system.post(
                "/api/schedule/tasks",
                command(
                    system,
                    f"echo x >> {tmp_path}/ran",
                    device_ids=[device["id"]],
                    is_due_soon=True,
                ),
            )
            found = until(lambda: system.executions(task["id"]), what="opened by reconcile")
            assert system.ended(found[0]["id"], 90)["status"] == "success"
        finally:
            redis.resume()
        assert (tmp_path / "ran").read_text() == "x\n"


def valkey(system: RunningSystem) -> psutil.Process:
    for child in psutil.Process(system.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "valkey" in child.name():
                return child
    raise AssertionError("no Valkey")
