"""`benchmarks.first_line` on a system that runs."""

from __future__ import annotations

from benchmarks import first_line
from tests.running import RunningSystem


def test_the_first_line_is_measured_from_due_to_stored(system: RunningSystem) -> None:
    found = first_line.measure_on(system, repeats=2, floor=0.001)
    assert len(found.stored) == 2
    for started, stored in zip(found.started, found.stored, strict=True):
        assert 0 < started < stored
