"""Output is followed over HTTP while the command writes it, without asking again and again."""

from __future__ import annotations

import time
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


def test_each_piece_arrives_when_it_is_written(system: RunningSystem) -> None:
    run_id = running(system, "echo one; sleep 2; echo two; sleep 2; echo three")
    pieces: list[tuple[float, str]] = []
    part: dict[str, Any] = {"next_offset": 0, "finished": False}
    while not part["finished"]:
        part = system.get(
            f"/api/schedule/runs/{run_id}/output", offset=part["next_offset"], wait=25
        )
        pieces.append((time.monotonic(), part["text"]))
    assert "".join(text for _, text in pieces) == "one\ntwo\nthree\n"
    arrived = {line: at for at, text in pieces for line in text.split()}
    assert arrived["two"] - arrived["one"] > 1
    assert arrived["three"] - arrived["two"] > 1
    assert len(pieces) <= 8
