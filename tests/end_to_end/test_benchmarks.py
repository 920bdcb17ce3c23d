"""Benchmarks on a system that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import changes, first_line, output
from tests.end_to_end.conftest import SOON
from tests.running import RunningSystem


def test_the_first_line_is_measured_from_due_to_stored(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_line, "DUE_IN_SECONDS", SOON.total_seconds())
    found = first_line.measure_on(system, repeats=2, floor=0.001)
    assert len(found.stored) == 2
    for started, stored in zip(found.started, found.stored, strict=True):
        assert 0 < started < stored


def test_a_change_is_heard_of_before_it_is_shown(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "WITHIN_SECONDS", 60.0)
    found = changes.measure_on(system, 3)
    assert len(found.page) == 3
    assert all(0 < heard < shown for heard, shown in zip(found.heard, found.shown, strict=True))


def test_lines_are_seen_after_they_were_written(system: RunningSystem) -> None:
    found = output.measure_lines(system, lines=3)
    for seen in (found.held, found.command_line):
        assert len(seen) == 3
        assert all(0 < seconds < 60 for seconds in seen)


def test_a_flood_is_measured_whole(system: RunningSystem, tmp_path: Path) -> None:
    found = output.measure_flood(system, tmp_path, output.MIB, runs=1)
    assert found.stored == output.MIB
    assert found.output["dropped_bytes"] == 0
    assert found.by_agent > 0
    assert set(found.alone) == {"null", "file", "pipe"}
    assert len(found.quiet) == len(found.meanwhile) == 1
    assert found.memory_peak >= found.memory_before > 0
    assert found.written_ahead > output.MIB
