"""A process tree that ignores SIGTERM, forks and daemonises: a time limit or a cancel leaves nothing
of it, whatever becomes of the agent meanwhile, and neither does the end of its supervisor."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.agent.platforms import start_mark
from tests.faults.devices import tree
from tests.faults.devices.conftest import Case
from tests.faults.fleet import QUICK, Device
from tests.running import until

ENVIRONMENT = {**QUICK, "DEPLOYX_AGENT_KILL_GRACE_SECONDS": "1"}
# The same in the words of a shell: four processes that a signal does not move.
SHELL = """
note() { echo "$1 $(sed 's/.*) //' /proc/$1/stat | cut -d' ' -f20)" >> {file}; }
trap '' TERM HUP INT
( note $(sh -c 'echo $PPID'); exec sleep 86399 ) &
( setsid sh -c 'exec sleep 86399' > /dev/null 2>&1 < /dev/null & note $! ) &
( cd /; setsid env -i /bin/sleep 86399 > /dev/null 2>&1 < /dev/null & note $! )
note $$
"""
SHELL_PROCESSES = 4


@dataclass(frozen=True, slots=True)
class Trees:
    """Two on each device, one a Python's and one a shell's; `folder` has their files."""

    folder: Path

    @property
    def python(self) -> str:
        words = [sys.executable, "-I", "-S", str(Path(tree.__file__).resolve())]
        return f'{shlex.join(words)} "{self.folder}/$DEPLOYX_RUN_ID.python" &'

    @property
    def shell(self) -> str:
        return SHELL.replace("{file}", f'"{self.folder}/$DEPLOYX_RUN_ID.shell"')

    def processes(self, run: str) -> list[tuple[int, str]]:
        lines = [line.split() for file in self.folder.glob(f"{run}.*") for line in _lines(file)]
        return [(int(pid), start) for pid, start in lines]

    def are_there(self, run: str) -> bool:
        (file,) = list(self.folder.glob(f"{run}.*")) or [None]
        wanted = (
            tree.PROCESSES if file is not None and file.suffix == ".python" else SHELL_PROCESSES
        )
        return file is not None and len(_lines(file)) >= wanted

    def survivors(self, run: str) -> list[int]:
        return [pid for pid, start in self.processes(run) if start_mark(pid) == start]


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


class Grown:
    """The runs of both kinds of trees on every device."""

    def __init__(self, case: Case, folder: Path, timeout_seconds: int) -> None:
        self.trees = Trees(folder)
        folder.mkdir(exist_ok=True)
        work = case.fleet.ledger.command(stdout_bytes=0, seconds=300)
        self.executions = [
            case.executions(
                1,
                command_payload={"command": f"{line}\n{work}"},
                timeout_seconds=timeout_seconds,
            )[0]
            for line in (self.trees.python, self.trees.shell)
        ]
        self._case = case
        self._runs = "SELECT id::text, device_id::text FROM scheduled_task_device_runs"

    def wait_until_grown(self) -> Grown:
        until(self.have_grown, what="every process of the trees")
        return self

    def runs(self, device: Device) -> list[str]:
        sql = f"{self._runs} WHERE execution_id = ANY(%s::uuid[]) AND device_id = %s"
        return [run for run, _ in self._case.grounds.site.query(sql, self.executions, device.id)]

    def have_grown(self) -> bool | None:
        devices = self._case.fleet.devices
        runs = [run for device in devices for run in self.runs(device)]
        return (len(runs) == 2 * len(devices) and all(map(self.trees.are_there, runs))) or None

    def cancel(self) -> None:
        for execution in self.executions:
            path = f"/api/schedule/executions/{execution}/cancel"
            self._case.fleet.system.post(path, status=202)

    def wait_for(self, status: str) -> None:
        for execution in self.executions:
            self._case.until_all(execution, status, seconds=180)

    def survivors(self) -> dict[str, list[int]]:
        runs = [run for device in self._case.fleet.devices for run in self.runs(device)]
        return {run: pids for run in runs if (pids := self.trees.survivors(run))}


def grow(case: Case, number: int = 1, *, timeout_seconds: int = 120) -> Grown:
    """Once all of their processes are there."""
    case.fleet.join(number, environment=dict(ENVIRONMENT))
    case.fleet.start()
    return Grown(case, case.fleet.folder / "trees", timeout_seconds).wait_until_grown()


def test_nothing_outlives_a_time_limit(case: Case) -> None:
    case.fleet.join(1, environment=dict(ENVIRONMENT))
    case.fleet.start()
    for seconds in (4, 20, 100):
        grown = Grown(case, case.fleet.folder / "trees", seconds)
        grown.wait_for("timed_out")
        assert grown.survivors() == {}
        if grown.have_grown():  # else it was too short for a slow machine
            break
    assert grown.have_grown()
    case.settled("a tree that will not end, at its time limit", cases=2)


@pytest.mark.faults
def test_nothing_outlives_a_cancel(case: Case) -> None:
    grown = grow(case)
    grown.cancel()
    grown.wait_for("cancelled")
    assert grown.survivors() == {}
    case.settled("a tree that will not end, cancelled", cases=2)


@pytest.mark.faults
def test_nothing_outlives_a_cancel_by_an_agent_that_was_killed_and_came_back(case: Case) -> None:
    grown = grow(case)
    (device,) = case.fleet.devices
    device.kill()
    assert grown.survivors()
    grown.cancel()
    device.start()
    grown.wait_for("cancelled")
    assert grown.survivors() == {}
    case.settled("a tree that will not end, cancelled after its agent was killed", cases=2)


@pytest.mark.faults
def test_nothing_outlives_a_time_limit_without_an_agent(case: Case) -> None:
    grown = grow(case, timeout_seconds=45)
    (device,) = case.fleet.devices
    device.kill()
    assert grown.survivors()
    until(lambda: not grown.survivors() or None, 180, what="all gone while there is no agent")
    device.start()
    grown.wait_for("timed_out")
    case.settled("a tree that will not end, at its limit without an agent", cases=2)


def environment_of(pid: int) -> bytes:
    """Nothing either where the process ends at this moment."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_nothing_that_can_be_known_outlives_its_shim(case: Case) -> None:
    grown = grow(case)
    (device,) = case.fleet.devices
    shims = device.shims()
    assert len(shims) == 2
    for shim in shims:
        shim.kill()
    grown.wait_for("lost")
    # One of each tree has neither its parents nor its environment any more: where there is no
    # control group of the run's own, nobody can know it.
    strangers = [pid for pids in grown.survivors().values() for pid in pids]
    assert set(map(environment_of, strangers)) <= {b""}
    for pid in strangers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    case.settled("a tree that will not end, and its shim killed", cases=2)
