"""A network that is cut while commands run and while others are to begin: afterwards every run has
ended right, with all that was written meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.devices.conftest import Case
from tests.faults.devices.networks import Network, network
from tests.faults.devices.test_connections import some_resets
from tests.faults.devices.test_frames import bad_weather, go_through, until_it_was_bad
from tests.faults.fleet import Device
from tests.faults.proxy import Between
from tests.faults.site import pause
from tests.running import until

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("root")]

OUTPUT_BYTES = 400_000
ARRIVED = "SELECT sum(output_next) FROM scheduled_task_device_runs WHERE execution_id = %s"


@dataclass(slots=True)
class Remote:
    """A device in a network of its own, and the command that runs there all through a cut."""

    case: Case
    network: Network
    device: Device
    seconds: float
    running: str = ""
    waiting: str = ""
    began: float = field(default_factory=time.monotonic)

    def work(self) -> None:
        """Writes for as long as the network is away, and ends after that."""
        (self.running,) = self._execute(
            stdout_bytes=OUTPUT_BYTES,
            stderr_bytes=1_000,
            seconds=self.seconds + 8,
            held_by=self._mended,
        )
        until(lambda: self._bytes() or None, what="the first of its output")

    def cut(self) -> None:
        self.network.cut()
        self.began = time.monotonic()
        (self.waiting,) = self._execute(stdout_bytes=2_000)

    def mend(self) -> None:
        """When its time has come; nothing has come through until then."""
        pause(max(0.0, self.began + self.seconds - time.monotonic()))
        waiting = self.case.statuses(self.waiting)
        assert set(waiting.values()) <= {"pending", "queued", "claimed"}, "it was not cut"
        assert self.case.statuses(self.running) == {self.device.id: "running"}
        self.network.mend()
        self._mended.touch()

    @property
    def _mended(self) -> Path:
        return self.case.fleet.folder / f"{self.device.name}.mended"

    def _bytes(self) -> int:
        ((arrived,),) = self.case.grounds.site.query(ARRIVED, self.running)
        return int(arrived or 0)

    def _execute(self, **work: Any) -> list[str]:
        devices, seed = [self.device.id], self.case.seed
        return self.case.executions(1, devices=devices, seed=seed, timeout_seconds=1_200, **work)


@pytest.fixture
def networks() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def remotes(
    case: Case, between: Between, networks: ExitStack, seconds: list[float]
) -> list[Remote]:
    """One for each length of a cut, working."""
    made = []
    for number, length in enumerate(seconds, 1):
        joined = networks.enter_context(network(number))
        (device,) = case.fleet.join(1, prefix=joined.prefix)
        between.put_before(device, address=joined.address)
        made.append(Remote(case, joined, device, length))
    case.fleet.start()
    for remote in made:
        remote.work()
    return made


@pytest.mark.timeout(600)
def test_a_short_cut(case: Case, between: Between, networks: ExitStack) -> None:
    lengths = [5.0, 10.0, 20.0, 30.0]
    cut_off = remotes(case, between, networks, lengths)
    for remote in cut_off:
        remote.cut()
    for remote in cut_off:
        remote.mend()
    case.settled("network cut for 5 to 30 s", cases=len(lengths))


@pytest.mark.timeout(1_200)
def test_a_cut_of_three_minutes_while_others_have_bad_weather(
    case: Case, others: Case, between: Between, networks: ExitStack, chance: random.Random
) -> None:
    cut_off = remotes(case, between, networks, [60.0, 180.0])
    for remote in cut_off:
        remote.cut()
    ways = go_through(others, between, bad_weather(chance))
    until_it_was_bad(ways)
    for way in ways:
        way.cut_after = some_resets(way, random.Random(chance.random()))
    others.executions(3, seed=case.seed, stdout_bytes=60_000, seconds=20)
    for remote in cut_off:
        remote.mend()
    case.settled("network cut for a minute and for three, bad weather elsewhere", cases=2)
