"""The signing key is replaced under a running system; its agents follow by themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devices.agent.config import StateDir
from devices.agent.identity import load_server
from tests.end_to_end.conftest import command
from tests.running import CHECKOUT, RunningSystem, until

# Real agents by the half-dozen, through several rotations: with the slow runs.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Machine:
    """A device whose agent runs when a test says so."""

    system: RunningSystem
    state: Path
    name: str

    def agent(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "devices.agent", *argv, "--state-dir", str(self.state)]

    def enroll(self) -> dict[str, Any]:
        token = self.system.manage("enroll-token", "add").stdout
        line = self.agent("enroll", self.system.address, "--token", "-", "--name", self.name)
        subprocess.run(line, cwd=CHECKOUT, input=token, text=True, check=True, timeout=60)
        return self.found()

    def found(self) -> dict[str, Any]:
        devices = self.system.get("/api/devices", search=self.name)["results"]
        return next(one for one in devices if one["name"] == self.name)

    @contextmanager
    def running(self) -> Iterator[None]:
        log = self.state.with_suffix(".log").open("ab")
        with (
            log,
            subprocess.Popen(
                self.agent("run"), cwd=CHECKOUT, stdout=log, stderr=log, env={"PATH": "/bin"}
            ) as process,
        ):
            try:
                yield
            finally:
                process.terminate()
                process.wait(60)

    @property
    def pinned(self) -> str:
        return load_server(StateDir(self.state)).key_id


@pytest.fixture
def machine(system: RunningSystem, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(system, tmp_path / "agent", f"rotates {tmp_path.name}")
    device = machine.enroll()
    yield machine
    assert system.api.delete(f"/api/devices/{device['id']}").status_code == 204


def rotate(system: RunningSystem, *options: str) -> str:
    """The current key's id afterwards."""
    system.manage("keys", "rotate", *options)
    return system.manage("keys", "list").stdout.splitlines()[-1].split()[0]


def execute(system: RunningSystem, device: dict[str, Any], line: str = "echo up") -> str:
    task = system.post("/api/schedule/tasks", command(system, line, device_ids=[device["id"]]))
    execution: str = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)["id"]
    return execution


def outcome(system: RunningSystem, execution: str) -> tuple[str, str]:
    system.ended(execution)
    [run] = system.runs(execution)
    return run["id"], run["status"]


def queued(system: RunningSystem, execution: str) -> str:
    """The id of its one run, once it waits for its device."""

    def find() -> str | None:
        runs = system.runs(execution)
        return runs[0]["id"] if runs and runs[0]["status"] == "queued" else None

    return until(find, what="a queued run")


def test_an_agent_that_is_connected_follows_without_a_restart(system: RunningSystem) -> None:
    device = system.device()
    for _number in range(2):
        rotate(system)
    assert outcome(system, execute(system, device))[1] == "succeeded"


def test_what_waited_for_a_device_through_three_rotations_runs_as_the_same_run(
    system: RunningSystem, machine: Machine
) -> None:
    execution = execute(system, machine.found())
    run = queued(system, execution)
    for _number in range(3):
        key = rotate(system)
    assert machine.pinned != key
    with machine.running():
        assert outcome(system, execution) == (run, "succeeded")
    assert machine.pinned == key


def test_after_a_compromise_what_waited_is_cancelled_and_new_runs_go_on(
    system: RunningSystem, machine: Machine
) -> None:
    execution = execute(system, machine.found())
    run = queued(system, execution)
    rotate(system, "--compromised")
    with machine.running():
        assert outcome(system, execution) == (run, "cancelled")
        assert outcome(system, execute(system, machine.found()))[1] == "succeeded"


def test_a_command_that_runs_is_not_touched(
    system: RunningSystem, machine: Machine, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with machine.running():
        line = f"until [ -e {gate} ]; do sleep 0.1; done"
        execution = execute(system, machine.found(), line)
        until(lambda: system.runs(execution)[0]["status"] == "running" or None, what="a start")
        rotate(system, "--compromised")
        gate.touch()
        assert outcome(system, execution)[1] == "succeeded"


def test_rotating_in_the_midst_of_work_spoils_none_of_it(
    system: RunningSystem, machine: Machine
) -> None:
    with machine.running():
        device = machine.found()
        started = []
        for number in range(12):
            started.append(execute(system, device))
            if number % 5 == 2:
                rotate(system)
        assert {outcome(system, one)[1] for one in started} == {"succeeded"}
