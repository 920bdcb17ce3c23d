"""An agent that the one line installed, of an older version, becomes the one its server serves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devices.agent import __version__
from tests.end_to_end.conftest import command
from tests.end_to_end.test_installing_agent import Machine, index, script
from tests.running import RunningSystem, until

__all__ = ["index", "script"]
pytestmark = pytest.mark.timeout(900)
OLD = "0.9.10"
"""Not as long as the version it stands in for: Python's own cache goes by size and second."""


@pytest.fixture(scope="module")
def machine(
    system: RunningSystem, script: str, index: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """Its agent says that it is older."""
    machine = Machine(system, tmp_path_factory.mktemp("older"), index)
    token = system.manage("enroll-token", "add").stdout.strip()
    done = machine.install(script, "--no-service", "--name", "to be updated", token=token)
    assert done.returncode == 0, done.stdout + done.stderr
    [module] = machine.folder.glob(
        "prefix/venv/lib/python*/site-packages/deployx_agent/__init__.py"
    )
    module.write_text(module.read_text().replace(__version__, OLD))
    return machine


@pytest.fixture
def agent(machine: Machine) -> Iterator[subprocess.Popen[bytes]]:
    log = (machine.folder / "agent.log").open("wb")
    line = [str(machine.program), "run", "--state-dir", str(machine.state)]
    with log, subprocess.Popen(line, env={}, stderr=log) as process:
        yield process
        process.terminate()
        process.wait(60)
    system = machine.system
    assert system.api.delete(f"/api/devices/{found(system)['id']}").status_code == 204


def found(system: RunningSystem) -> dict[str, Any]:
    devices: list[dict[str, Any]] = system.get("/api/devices", search="to be updated")["results"]
    [device] = devices
    return device


def has(system: RunningSystem, version: str) -> dict[str, Any] | None:
    device = found(system)
    is_so = device["status"] == "online" and device["agent_version"] == version
    return device if is_so else None


def test_it_is_updated_while_a_command_runs(
    system: RunningSystem, machine: Machine, agent: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    device = until(lambda: has(system, OLD), what="the older agent online")
    gate = tmp_path / "gate"
    line = f"echo up; until [ -e {gate} ]; do sleep 0.1; done; exit 3"
    task = system.post("/api/schedule/tasks", command(system, line, device_ids=[device["id"]]))
    execution = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)["id"]
    until(lambda: system.runs(execution)[0]["status"] == "running" or None, what="a start")

    answer = system.api.post(f"/api/devices/{device['id']}/update-agent")
    assert answer.status_code == 202
    until(lambda: has(system, __version__), 300, what="the agent of this server's version")
    gate.touch()
    system.ended(execution)

    [run] = system.runs(execution)
    assert (run["exit_code"], run["attempt"]) == (3, 1)
    assert system.output(run["id"])["text"] == "up\n"
    assert agent.poll() is None
    until(lambda: "done     1" in system.manage("agents", "status").stdout or None, what="its end")
    assert f"(runs {__version__})" in machine.agent("status")
    assert system.api.post(f"/api/devices/{device['id']}/update-agent").status_code == 409
