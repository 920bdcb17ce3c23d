"""A device whose clock is a year off, or jumps while a command runs: nothing is decided by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.devices.conftest import Case
from tests.faults.fleet import QUICK, Device
from tests.running import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
YEAR_SECONDS = 365 * 86_400
SHIFTED = Path(__file__).parent / "shifted"


class Clock:
    """A device's wall clock; set it at any time."""

    def __init__(self, case: Case, name: str, seconds: int) -> None:
        self._file = case.fleet.folder / f"{name}.shift"
        self.set(seconds)

    def set(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        shift = {"PYTHONPATH": str(SHIFTED), "DEPLOYX_FAULT_SHIFT": str(self._file)}
        return {**QUICK, "DEPLOYX_AGENT_KILL_GRACE_SECONDS": "1", **shift}


def live(case: Case) -> dict[str, str]:
    """Executions whose ends depend on time: what they are to come to."""
    (succeeding,) = case.executions(1, seed=case.seed, stdout_bytes=5_000, seconds=2)
    (overlong,) = case.executions(1, seconds=60, timeout_seconds=2)
    (hasty,) = case.executions(1, expires_after_seconds=300)
    (cancelled,) = case.executions(1, seconds=600, timeout_seconds=900)
    case.until_all(cancelled, "running")
    case.fleet.system.post(f"/api/schedule/executions/{cancelled}/cancel", status=202)
    return {
        succeeding: "succeeded",
        overlong: "timed_out",
        hasty: "succeeded",
        cancelled: "cancelled",
    }


def check_all(case: Case, wanted: dict[str, str]) -> None:
    for execution, status in wanted.items():
        case.until_all(execution, status)


def expire_while_away(case: Case) -> None:
    """A run that an agent finds again after its last permitted start never begins."""
    for device in case.fleet.devices:
        device.stop()
    (late,) = case.executions(1, expires_after_seconds=1)
    case.until_all(late, "expired")
    for device in case.fleet.devices:
        device.start()


def year_in_log(device: Device) -> set[int]:
    """The years at which the agent says it wrote its log."""
    lines = device.log.read_text().splitlines()
    return {int(line[:4]) for line in lines if line[:4].isdigit()}


def test_a_wall_clock_may_be_a_year_off_and_jump(case: Case) -> None:
    began = datetime.now(UTC)
    clocks = [Clock(case, f"clock{way}", way * YEAR_SECONDS) for way in (1, -1, 0)]
    for clock in clocks:
        case.fleet.join(1, environment=clock.environment)
    case.fleet.start()
    wanted = live(case)
    expire_while_away(case)
    jumped = case.fleet.folder / "jumped"
    (jumping,) = case.executions(
        1, seed=case.seed, stdout_bytes=5_000, seconds=1, held_by=jumped, timeout_seconds=600
    )
    case.until_all(jumping, "running")
    for clock, way in zip(clocks, (-1, 1, 1), strict=True):
        clock.set(way * YEAR_SECONDS)
    jumped.touch()
    until(lambda: case.fleet.online() >= set(case.fleet.ids) or None, what="all still online")
    check_all(case, {**wanted, jumping: "succeeded"})
    case.settled("a device's clock a year off, and jumping", cases=len(clocks))
    years = [year_in_log(device) for device in case.fleet.devices]
    year = timedelta(seconds=YEAR_SECONDS)
    assert years[0] >= {(began + year).year}
    assert years[1] >= {(began - year).year}


@pytest.mark.usefixtures("root")
def test_a_device_may_count_from_another_moment(case: Case) -> None:
    """Monotonic and boot clock a year further, as in a time namespace of its own."""
    shift = str(YEAR_SECONDS)
    prefix = ("unshare", "-T", "--monotonic", shift, "--boottime", shift, "--fork", "--kill-child")
    case.fleet.join(1, prefix=prefix)
    case.fleet.start()
    check_all(case, live(case))
    case.settled("a device's monotonic clock a year further")
