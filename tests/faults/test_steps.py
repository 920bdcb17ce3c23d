"""Agents and shims that die at each step they take, alone or with the whole device."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from tests.faults.fleet import Fleet
from tests.faults.freezer import STEPS, Frozen, arm, batches
from tests.faults.ground import Ground


def at_steps(
    of: Fleet, steps: Sequence[str], end: Callable[[Frozen], None], chance: random.Random
) -> None:
    """Each device is at a step of its own while it works on several runs, then ends there."""
    tasks = [
        of.task(seed=chance.randrange(2**32), stdout_bytes=3_000, stderr_bytes=500, seconds=0.3),
        of.task(seed=chance.randrange(2**32), exit_code=4),
    ]
    for batch in batches(of.devices, steps):
        try:
            arm(of, batch)
            for task in tasks:
                of.execute(task)
            for frozen in batch:
                end(frozen)
        finally:
            for frozen in batch:
                frozen.disarm()


@pytest.mark.timeout(1_200)
def test_a_few_agents_and_shims_are_killed_at_steps_they_take(
    common: Ground, seed: int, chance: random.Random
) -> None:
    steps = chance.sample(STEPS, 6)
    with common.case("agent or shim killed at some steps", seed, cases=len(steps)):
        at_steps(common.fleet, steps, Frozen.kill_the_process, chance)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_agents_and_shims_are_killed_at_every_step(
    common: Ground, seed: int, chance: random.Random
) -> None:
    with common.case("agent or shim killed at every step", seed, cases=len(STEPS)):
        at_steps(common.fleet, STEPS, Frozen.kill_the_process, chance)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_devices_lose_power_at_every_step(common: Ground, seed: int, chance: random.Random) -> None:
    with common.case("device loses power at every step", seed, cases=len(STEPS)):
        at_steps(common.fleet, STEPS, Frozen.lose_power, chance)
