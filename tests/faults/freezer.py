"""Devices that stand still at a step, for a test to end them there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import psutil

from tests.faults import freezing
from tests.faults.fleet import PROGRAM, Device, Fleet
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
        self.device.environment |= {freezing.AT: self.step, freezing.ONCE: str(self._once)}
        self.device.start()

    def disarm(self) -> None:
        """And starts again without it; what still stands still goes on."""
        for one in self.device.family():
            with suppress(psutil.Error):
                one.resume()
        self.device.stop()
        self.device.program = PROGRAM
        self.device.environment.pop(freezing.AT, None)
        self.device.start()

    @property
    def is_there(self) -> bool:
        """Whether the step was taken."""
        return self._once.exists()

    def process(self) -> psutil.Process:
        """The one that stands still at the step, once it does."""
        until(lambda: self.is_there or None, 240, what=f"{self.device.name} at {self.step}")
        return until(self._still, what=f"{self.device.name} stopped at {self.step}")

    def kill_the_process(self) -> None:
        """The agent or the shim alone: what else there is on the device goes on."""
        process = self.process()
        process.kill()
        self.device.kills += 1
        if self.step in freezing.AGENT_STEPS:
            assert self.device.agent is not None
            self.device.agent.wait()

    def lose_power(self) -> None:
        self.process()
        self.device.lose_power()

    def _still(self) -> psutil.Process | None:
        for one in self.device.family():
            with suppress(psutil.Error):  # it may end at any moment
                if one.status() == psutil.STATUS_STOPPED:
                    return one
        return None


def arm(of: Fleet, batch: Sequence[Frozen]) -> None:
    """All of them; answers when each agent is online, or at its step already, for what is left to do
    of an earlier batch."""
    for frozen in batch:
        frozen.arm()

    def have_come() -> bool:
        waited_for = {one.device.id for one in batch if not one.is_there}
        return waited_for <= of.online()

    until(have_come, 240, what="every device online, or at its step")


def batches(devices: Sequence[Device], steps: Sequence[str]) -> list[list[Frozen]]:
    """Every step once, as many at a time as there are devices."""
    starts = range(0, len(steps), len(devices))
    return [
        [Frozen(*pair) for pair in zip(devices, steps[start:], strict=False)] for start in starts
    ]
