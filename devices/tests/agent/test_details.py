"""Whatever a run has to say for itself fits into the protocol, and no word of it ends the agent."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from devices.agent import details
from devices.agent.protocol import MAX_DETAIL_BYTES, Outcome, Result
from devices.agent.protocol.fields import free_object
from devices.agent.shim import Exit

from .conftest import AgentProcess, Gate
from .fake_runs import Run
from .fake_server import FakeServer

DETAIL = free_object(MAX_DETAIL_BYTES)
HUGE = {"summary": "done", "kept": [f"/srv/{n:0200}" for n in range(100)], "changed": True}


@pytest.mark.parametrize("length", [10, 64, 70, 80, 96, 120, 150, 1_250])
@pytest.mark.parametrize("letter", ["a", "ä", "\N{GRINNING FACE}", '"', "\0", "\udcff"])
def test_every_file_deployment_fits(length: int, letter: str) -> None:
    paths = [f"/{n:03}{letter * (length - 4)}" for n in range(100)]
    steps = [{"path": path, "state": "replaced"} for path in paths]
    fitted = details.fit({"summary": "x", "changed": True, "kept": paths, "steps": steps})
    DETAIL.decode("detail", fitted)
    assert fitted["changed"] is True
    assert fitted["kept"]
    for name in ("kept", "steps"):
        assert len(fitted[name]) + fitted.get(f"{name}_left_out", 0) == 100
    assert details.fit(fitted) == fitted


def test_of_much_software_the_inventory_is_told_first() -> None:
    many = [{"id": "0" * 36, "name": f"Tool {n} {'x' * 30}", "version": "1.0"} for n in range(90)]
    steps = [{"software": one["name"], "state": "installed", "seconds": 0.123} for one in many]
    fitted = details.fit({"summary": "x", "installed": many, "steps": steps})
    assert fitted["installed"] == many
    assert "installed_left_out" not in fitted
    assert 0 < len(fitted["steps"]) == 90 - fitted["steps_left_out"]


def test_what_fits_stays_as_it_is() -> None:
    told = {"summary": "ä\n", "kept": ["/a"], "steps": [{"step": 1, "exit_code": None}], "n": 1.5}
    assert details.fit(told) == told


async def lives_on(server: FakeServer, agent: AgentProcess) -> None:
    """Another run is done by the same process, and its journal can be read again."""
    pid = agent.pid
    assert (await server.ended(await server.do({"command": "true"}))).outcome is Outcome.SUCCEEDED
    assert agent.pid == pid
    await agent.restart()
    assert "journal_damaged" not in server.hellos[-1].facts


async def test_a_hundred_replaced_files_of_long_names_are_told(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "srv"
    folder.mkdir()
    sha256 = hashlib.sha256(b"new").hexdigest()
    server.files["/agent/files/token"] = b"new"
    server.addresses[sha256] = "/agent/files/token"
    names = [f"{number:0{70 - len(str(folder)) % 70}}" for number in range(100)]
    for name in names:
        (folder / name).write_text("old")
    files = [{"name": name, "sha256": sha256, "size": 3} for name in names]
    order = {"files": files, "target_path": f"{folder}/"}
    run = await server.do(order, kind="file_deployment", files=(sha256,))
    result = await server.ended(run)
    assert result.outcome is Outcome.SUCCEEDED, result
    assert (folder / names[99]).read_text() == "new"
    assert result.detail["kept"][0] == f"{folder}/{names[0]}"
    assert len(result.detail["steps"]) + result.detail["steps_left_out"] == 100
    await lives_on(server, agent)


async def test_a_version_that_no_database_stores_is_told_without_that(
    server: FakeServer, agent: AgentProcess
) -> None:
    source = {"os": "linux", "architecture": "any", "format": "sh"}
    source |= {"install_command": "true", "detect_command": "printf '1\\0.0'"}
    entry = {"id": "0" * 36, "name": "Tool", "version": "1.0", "publisher": ""}
    order = {"software": [{**entry, "requirements": {}, "sources": [source]}], "action": "upgrade"}
    run = await server.do(order, kind="software_deployment")
    result = await server.ended(run)
    assert [one["version"] for one in result.detail["installed"]] == ["1.0"], result
    await lives_on(server, agent)


async def told_by_hand(server: FakeServer, agent: AgentProcess, gate: Gate, told: str) -> Result:
    """What the server hears of a run whose shim left this and is gone."""
    run: Run = await server.do({"command": f"echo up; {gate.wait}"})
    await server.until(lambda: run.output == b"up\n", "the command")
    (agent.state.run(run.id) / "exit.json").write_text(told)
    for pid in agent.shims():
        os.kill(pid, signal.SIGKILL)
    gate.open()
    return await server.ended(run)


@pytest.mark.parametrize(
    ("detail", "summary"),
    [
        (HUGE, "done"),
        ({"summary": "x" * 20_000}, "x" * 2_000),
        ({"summary": "done", "else": "x" * 20_000}, "done"),
        ({"summary": "a\0b\udcff"}, "ab"),
        ({"summary": ["no text"]}, ""),
        ({"summary": "deep", "steps": json.loads("[" * 500 + "]" * 500)}, "deep"),
    ],
    ids=["too long a list", "a long summary", "a long word", "unstorable", "no summary", "deep"],
)
async def test_whatever_a_shim_left_its_outcome_is_told(
    server: FakeServer, agent: AgentProcess, gate: Gate, detail: dict[str, Any], summary: str
) -> None:
    left = {"outcome": "failed", "exit_code": 7, "detail": detail}
    result = await told_by_hand(server, agent, gate, json.dumps(left))
    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 7)
    assert result.detail["summary"] == summary
    await lives_on(server, agent)


@pytest.mark.parametrize(
    "nonsense",
    [{"exit_code": 2**40}, {"output_length": "many"}, {"output_sha256": "f"}, {"detail": [1]}],
    ids=lambda nonsense: next(iter(nonsense)),
)
async def test_an_exit_record_of_nonsense_is_none(
    server: FakeServer, agent: AgentProcess, gate: Gate, nonsense: dict[str, Any]
) -> None:
    left = asdict(replace(Exit("failed", 7, {}), **nonsense))
    result = await told_by_hand(server, agent, gate, json.dumps(left))
    assert result.outcome is Outcome.UNKNOWN
    await lives_on(server, agent)
