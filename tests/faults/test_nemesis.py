"""Everything at once: programs, services and devices break at random while thousands of runs go on."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ground import Ground, ground
from tests.faults.nemesis import Nemesis

MINUTES = 10
RUNS = 5_000
MOST_OPEN = 600


def storm(
    on: Ground,
    chance: random.Random,
    name: str,
    seed: int,
    *,
    seconds: float,
    runs: int,
    executions_per_second: float,
    **fields: Any,
) -> None:
    load = on.load(chance, executions_per_second, most_open=MOST_OPEN)
    load.prepare(scale=0.3)
    load.repeat()
    nemesis = Nemesis(on, random.Random(seed + 1), **fields)
    before = len(on.checker.query("SELECT 1 FROM scheduled_task_device_runs"))
    with on.case(name, seed, cases=nemesis.done.total, load=load):
        nemesis.rage(seconds, until_true=lambda: on.checker.runs() - before >= runs)
    sys.stdout.write(f"{dict(nemesis.done)}\n")


@pytest.mark.timeout(900)
def test_a_short_nemesis(common: Ground, seed: int, chance: random.Random) -> None:
    storm(
        common, chance, "short nemesis", seed,
        seconds=12, runs=60, executions_per_second=2,
        apart_seconds=1.2, longest_hang_seconds=5,
    )  # fmt: skip


@pytest.mark.faults
@pytest.mark.alone
@pytest.mark.timeout(3_000)
def test_a_nemesis_of_ten_minutes(folder: Path, seed: int, chance: random.Random) -> None:
    with ground(folder, 20) as on:
        storm(
            on, chance, "nemesis of 10 minutes", seed,
            seconds=60 * MINUTES, runs=RUNS, executions_per_second=1.5,
            apart_seconds=3, longest_hang_seconds=10,
        )  # fmt: skip
