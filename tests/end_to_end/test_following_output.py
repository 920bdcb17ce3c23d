"""Output is followed over HTTP while the command writes it, without asking again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import command
from tests.running import RunningSystem, until


def running(system: RunningSystem, line: str) -> str:
    """The id of a run of this command, opened now."""
    given = command(system, line)
    for name in ("recurrence_type", "recurrence_config"):
        del given[name]
    opened = system.post("/api/schedule/executions", given, status=202)
    found: list[dict[str, Any]] = until(lambda: system.runs(opened["id"]), what="its run")
    return str(found[0]["id"])


def test_each_piece_arrives_when_it_is_written(system: RunningSystem, tmp_path: Path) -> None:
    """The command writes on only once what it wrote has been read."""
    wait = "until [ -e {} ]; do sleep 0.1; done"
    first, second = (wait.format(tmp_path / line) for line in ("one", "two"))
    run_id = running(system, f"echo one; {first}; echo two; {second}; echo three")
    pieces: list[str] = []
    part: dict[str, Any] = {"next_offset": 0, "finished": False}
    while not part["finished"]:
        part = system.get(
            f"/api/schedule/runs/{run_id}/output", offset=part["next_offset"], wait=25
        )
        pieces.append(part["text"])
        assert len(pieces) <= 8
        for line in part["text"].split():
            (tmp_path / line).touch()
    assert "".join(pieces) == "one\ntwo\nthree\n"
