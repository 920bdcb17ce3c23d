"""A device's identity that is there twice, comes back from the past, or is gone."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.devices.conftest import Case
from tests.faults.fleet import Device, end_at_once
from tests.faults.site import pause
from tests.running import until

# As another machine: none of the first one's processes can be seen from there.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
ELSEWHERE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def copy_of(device: Device, place: Path) -> Path:
    """The state directory as it is at this moment; files may go while it is copied."""
    with suppress(shutil.Error):
        shutil.copytree(device.folder, place)
    assert (place / "journal").exists()
    return place


def clone_of(device: Device, place: Path, prefix: tuple[str, ...]) -> Device:
    folder = copy_of(device, place / device.name)
    clone = Device(folder, device.id, prefix=prefix, environment=dict(device.environment))
    clone.start()
    return clone


def live_twice(case: Case, chance: random.Random, prefix: tuple[str, ...]) -> None:
    """Work for one device while two agents are it, from a copy taken while it works."""
    (device,) = case.fleet.join(1)
    case.fleet.start()
    task = case.fleet.task(seed=case.seed, stdout_bytes=20_000, seconds=1.5)
    for _ in range(6):
        case.fleet.execute(task)
    until(lambda: device.shims() or None, what="commands under way")
    clone = clone_of(device, case.fleet.folder / "clone", prefix)
    try:
        for _ in range(12):
            case.fleet.execute(task)
            pause(chance.uniform(0.2, 1.5))
        # Each has to be sent away several times first.
        until(lambda: (has_noticed(device) and has_noticed(clone)) or None, 240, what="both say it")
        until(lambda: is_contested(case, device) or None, 240, what="the server says it")
    finally:
        end_at_once(clone)


def has_noticed(device: Device) -> bool:
    return "another agent uses this device's identity" in device.log.read_text()


def is_contested(case: Case, device: Device) -> bool:
    sql = "SELECT contested_at IS NOT NULL FROM devices_device WHERE id = %s"
    ((answer,),) = case.grounds.site.query(sql, device.id)
    return bool(answer)


def test_two_agents_with_one_identity_start_nothing_twice(
    case: Case, chance: random.Random
) -> None:
    live_twice(case, chance, ())
    case.settled("two agents with one identity")
    assert "succeeded" in case.all_statuses(18)


@pytest.mark.usefixtures("root")
def test_two_machines_with_one_identity_start_nothing_twice(
    case: Case, chance: random.Random
) -> None:
    live_twice(case, chance, ELSEWHERE)
    case.settled("two machines with one identity")
    assert "succeeded" in case.all_statuses(18)


def test_a_state_directory_may_be_rolled_back(case: Case, chance: random.Random) -> None:
    """To copies from before, while and after commands ran; nothing runs again."""
    (device,) = case.fleet.join(1)
    case.fleet.start()
    task = case.fleet.task(seed=case.seed, stdout_bytes=3_000, seconds=0.5)
    copies = []
    for number in range(4):
        for _ in range(5):
            case.fleet.execute(task)
        pause(chance.uniform(0.1, 1.0))
        copies.append(copy_of(device, case.fleet.folder / f"copy-{number}"))
    for copy in copies:
        case.fleet.execute(task)
        pause(chance.uniform(0.0, 0.6))
        device.lose_power()
        shutil.rmtree(device.folder)
        shutil.copytree(copy, device.folder)
        device.start()
        latest = case.fleet.execute(task)["id"]
        until(lambda: case.fleet.online() >= {device.id} or None, what="it is back")
    case.settled("state directory rolled back", cases=len(copies))
    # What the device has forgotten is lost, however much that is; it goes on with what is new.
    assert case.statuses(latest) == {device.id: "succeeded"}
    assert set(case.all_statuses(28)) <= {"succeeded", "lost"}


def test_a_wiped_device_is_a_new_one(case: Case) -> None:
    """What the old one was given ends as nobody's: expired where it never began, lost where it did."""
    (old,) = case.fleet.join(1)
    case.fleet.start()
    (running,) = case.executions(1, seconds=600, timeout_seconds=900)
    case.until_all(running, "running")
    old.lose_power()
    shutil.rmtree(old.folder)
    (waiting,) = case.executions(1, expires_after_seconds=2)
    (new,) = case.fleet.join(1)
    case.fleet.devices.remove(old)
    case.fleet.start()
    assert new.id != old.id
    (afterwards,) = case.executions(1, seed=case.seed, stdout_bytes=900)
    case.until_all(afterwards, "succeeded")
    case.until_all(waiting, "expired")
    assert case.statuses(running) == {old.id: "running"}
    let_a_day_pass(case, running)
    case.until_all(running, "lost")
    case.settled("state directory wiped, and the device enrolled anew")


def let_a_day_pass(case: Case, execution: str) -> None:
    """A run is lost a day after its time is over: its row is made as old as that."""
    sql = (
        "UPDATE scheduled_task_device_runs SET deadline_at = deadline_at - interval '2 days'"
        " WHERE execution_id = %s RETURNING id"
    )
    assert case.grounds.site.query(sql, execution)
