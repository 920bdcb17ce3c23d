"""Disks that are full, and disks that forget: the agent's own, and the database's."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.disks import ForgetfulDisk, SmallDisk, forgetful_disk, small_disk
from tests.faults.freezer import STEPS, Frozen, arm, batches
from tests.faults.ground import Ground, ground
from tests.faults.load import Load
from tests.faults.site import Site, pause

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900), pytest.mark.usefixtures("root")]
AGENTS_MEGABYTES = 40
DATABASE_MEGABYTES = 400


def test_a_full_disk_of_the_agent_costs_output_or_a_refusal_and_nothing_else(
    folder: Path, seed: int, chance: random.Random
) -> None:
    """Each device's state is on a disk of its own. It fills up while the agent runs things, to
    the last byte or nearly, for some seconds."""
    with ExitStack() as stack:
        disks = [
            stack.enter_context(small_disk(folder / f"disk-{number}", AGENTS_MEGABYTES))
            for number in range(4)
        ]
        on = stack.enter_context(ground(folder, 0))
        join(on, disks, DEPLOYX_AGENT_MIN_FREE_BYTES=str(4 * 1024 * 1024))
        load = Load(on.fleet, chance, 2)
        load.prepare(scale=0.5)
        load.add(seed=seed, stdout_bytes=3_000_000, seconds=2)
        with on.case("agent's disk full", seed, cases=16, load=load):
            for _time in range(8):
                filled = chance.sample(disks, 2)
                for disk in filled:
                    disk.fill(chance.choice([0, 0, 3_000, 200_000]))
                pause(2.0)
                for disk in filled:
                    disk.empty()
                pause(0.5)


def test_what_was_not_synced_when_the_power_went_was_not_promised(
    folder: Path, seed: int, chance: random.Random
) -> None:
    """As a power cut at every step, with a disk under the state directory that really forgets."""
    with ExitStack() as stack:
        disks = [stack.enter_context(forgetful_disk(folder / f"disk-{n}")) for n in range(6)]
        on = stack.enter_context(ground(folder, 0))
        join(on, disks)
        disk_of = {disk.folder: disk for disk in disks}
        task = on.fleet.task(seed=seed, stdout_bytes=3_000, stderr_bytes=500, seconds=0.3)
        with on.case("device loses power and what was not synced", seed, cases=len(STEPS)):
            for batch in batches(on.fleet.devices, chance.sample(STEPS, len(STEPS))):
                arm(on.fleet, batch)
                on.fleet.execute(task)
                for frozen in batch:
                    lose_power(frozen, disk_of[frozen.device.folder.parent])
                    frozen.disarm()


def test_a_full_disk_of_the_database_delays_and_loses_nothing(
    folder: Path, seed: int, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, their log and Redis's file on one disk that is full for some seconds, three times."""
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "services", DATABASE_MEGABYTES))
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(disk.folder))
            on = stack.enter_context(ground(folder, 6))
        load = Load(on.fleet, chance, 2)
        load.prepare(scale=0.5)
        with on.case("PostgreSQL's disk full", seed, cases=3, load=load):
            for _time in range(3):
                pause(2.0)
                fill_for_a_while(on.site, disk)


def join(on: Ground, disks: Sequence[SmallDisk | ForgetfulDisk], **environment: str) -> None:
    """One device a disk, its state directory a folder on it."""
    for number, disk in enumerate(disks):
        (device,) = on.fleet.join(1, folder=disk.folder / f"device-{number:03}")
        device.environment |= environment
    on.fleet.start()


def lose_power(frozen: Frozen, disk: ForgetfulDisk) -> None:
    """The disk stops first: nothing a process might still do reaches it."""
    frozen.process()
    disk.lose_power()
    frozen.device.lose_power()
    disk.mount_again()


def fill_for_a_while(site: Site, disk: SmallDisk) -> None:
    """For 8 s nothing more fits; whatever dies of it is started again once there is room."""
    over = time.monotonic() + 8
    while time.monotonic() < over:
        disk.fill()
        pause(0.2)
    site.kills += 1
    disk.empty()
    site.revive()
