"""Agents and shims that die at each step they take, alone or with the whole device."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from tests.faults import freezing
from tests.faults.checker import Checker
from tests.faults.fleet import PROGRAM, Device, Fleet, fleet
from tests.faults.site import site
from tests.running import until

STEPS = (*freezing.AGENT_STEPS, *freezing.SHIM_STEPS)
FREEZING = (PROGRAM[0], "-m", "tests.faults.freezing")


class Frozen:
    """A device whose agent, or a shim of it, stops at the step."""

    def __init__(self, device: Device, step: str) -> None:
        self.device, self.step = device, step
        self._once = device.folder.with_name(f"{device.name}.{step.replace(':', '-')}")

    def arm(self) -> None:
        """The agent starts anew, with the point in it."""
        self.device.stop()
        self._once.unlink(missing_ok=True)
        self.device.program = FREEZING
        self.device.environment |= {
            freezing.AT: self.step,
            freezing.ONCE: str(self._once),
        }
        self.device.start()

    def disarm(self) -> None:
        self.device.program = PROGRAM
        self.device.environment.pop(freezing.AT)
        self.device.start()

    def process(self) -> psutil.Process:
        """The one that stands still at the step, once it does."""
        until(lambda: self._once.exists() or None, what=f"{self.device.name} at {self.step}")
        return until(self._still, what=f"{self.device.name} stopped at {self.step}")

    def _still(self) -> psutil.Process | None:
        for one in self.device.family():
            if one.status() == psutil.STATUS_STOPPED:
                return one
        return None


def kill_the_process(frozen: Frozen) -> None:
    """The agent or the shim alone: what else there is on the device goes on."""
    process = frozen.process()
    frozen.device.kills += 1
    process.kill()
    if frozen.step in freezing.AGENT_STEPS:
        assert frozen.device.agent is not None
        frozen.device.agent.wait()
    else:
        frozen.device.stop()


def take_the_power(frozen: Frozen) -> None:
    frozen.process()
    frozen.device.lose_power()


def batches(steps: Sequence[str], size: int) -> list[Sequence[str]]:
    return [steps[start : start + size] for start in range(0, len(steps), size)]


def at_every_step(
    of: Fleet, steps: Sequence[str], end: Callable[[Frozen], None], chance: random.Random
) -> None:
    """Each device is at a step of its own while it works on several runs, then ends there."""
    tasks = [
        of.task(seed=chance.randrange(2**32), stdout_bytes=3_000, stderr_bytes=500, seconds=0.3),
        of.task(seed=chance.randrange(2**32), exit_code=4),
    ]
    for batch in batches(steps, len(of.devices)):
        frozen = [Frozen(device, step) for device, step in zip(of.devices, batch, strict=False)]
        for one in frozen:
            one.arm()
        of.start()
        for task in tasks:
            of.execute(task)
        for one in frozen:
            end(one)
            one.disarm()


def run(
    case: str,
    folder: Path,
    seed: int,
    steps: Sequence[str],
    end: Callable[[Frozen], None],
    devices: int,
) -> None:
    chance, began = random.Random(seed), time.monotonic()
    with site() as system, fleet(system, folder, devices) as of:
        at_every_step(of, steps, end, chance)
        of.start()
        checker = Checker(system, of.ledger)
        checker.wait_until_calm()
        seconds = time.monotonic() - began
        found = checker.check(case, seed=seed, cases=len(steps), kills=of.kills, seconds=seconds)
        assert found.kills == len(steps)


@pytest.mark.timeout(180)
def test_a_few_steps_at_which_agents_and_shims_are_killed(
    folder: Path, seed: int, chance: random.Random
) -> None:
    steps = chance.sample(STEPS, 6)
    run("agent or shim killed at some steps", folder, seed, steps, kill_the_process, 6)


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_agents_and_shims_are_killed_at_every_step(folder: Path, seed: int) -> None:
    run("agent or shim killed at every step", folder, seed, STEPS, kill_the_process, 10)


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_devices_lose_power_at_every_step(folder: Path, seed: int) -> None:
    run("device loses power at every step", folder, seed, STEPS, take_the_power, 10)
