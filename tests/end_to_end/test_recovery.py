"""A restored server, real agents: nothing runs twice, and each run ends as it ended on its device."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployx.embedded.binaries import Binaries
from tests.faults.fleet import Device, Fleet, fleet
from tests.faults.site import PROGRAMS, Site, site
from tests.running import BY_HAND, until

# A dump, a fleet, a restore: with the slow runs.
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
UNENDED = ("pending", "queued", "claimed", "running")


@dataclass(slots=True)
class Town:
    """A site, its devices, and the file in which their commands note that they begin and end."""

    site: Site
    fleet: Fleet
    folder: Path

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def line(self, *, gate: str = "", code: int = 0) -> str:
        """A command that notes its run, waits for the gate, says so, and exits."""
        note = f'echo {{}} "$DEPLOYX_RUN_ID" >> {self.notes}'
        wait = f"until [ -e {self.folder / gate} ]; do sleep 0.05; done" if gate else ":"
        words = [note.format("start"), "echo before", wait, "echo after", note.format("end")]
        return "; ".join([*words, f"exit {code}"])

    def open_gate(self, gate: str) -> None:
        (self.folder / gate).touch()

    def begin(self, line: str, *devices: Device, **fields: Any) -> dict[str, Any]:
        """An execution of this command on these devices."""
        task = self.site.post(
            "/api/schedule/tasks",
            {
                "name": "Of the town",
                "task_type": "command",
                "command_payload": {"command": line},
                **BY_HAND,
                "device_ids": [device.id for device in devices],
                **fields,
            },
        )
        made: dict[str, Any] = self.site.post(
            f"/api/schedule/tasks/{task['id']}/execute", status=202
        )
        return made

    def run_of(self, execution: dict[str, Any], device: Device) -> dict[str, Any]:
        runs = self.site.runs(execution["id"])
        return next(run for run in runs if run["device_id"] == device.id)

    def noted(self, word: str) -> Counter[str]:
        """How often each run noted this."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return Counter(line.split()[1] for line in lines if line.split()[0] == word)

    def until_noted(self, word: str, execution: dict[str, Any], device: Device) -> None:
        run = self.run_of(execution, device)["id"]
        until(lambda: self.noted(word)[run] or None, what=f"{word} of {run}")

    def until_status(
        self, execution: dict[str, Any], device: Device, status: str
    ) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            run = self.run_of(execution, device)
            return run if run["status"] == status else None

        return until(reached, what=f"{status} on {device.name}")

    def dump(self) -> Path:
        file = self.folder / "deployx.dump"
        url = self.site.services.database_url
        _postgres("pg_dump", "--format", "custom", "--file", str(file), url)
        return file

    def restore(self, file: Path) -> None:
        """Everything of the server's ends; an empty database is filled with the dump."""
        for name in PROGRAMS:
            self.site.kill(name)
        url = self.site.services.database_url
        with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE deployx WITH (FORCE)")
            connection.execute("CREATE DATABASE deployx")
        _postgres("pg_restore", "--exit-on-error", "--dbname", url, str(file))

    def start(self) -> None:
        for name in PROGRAMS:
            self.site.start_again(name)
        until(self.site.system.is_ready, 90, what="the restored system")

    def recovery(self, *words: str) -> str:
        return self.site.manage("recovery", *words).stdout

    def often(self, device: Device, *, begins_in: timedelta) -> dict[str, Any]:
        """A task that runs every ten seconds, after a while."""
        fields = {
            "name": "Often",
            "task_type": "command",
            "command_payload": {"command": self.line()},
            "device_ids": [device.id],
            "overlap_policy": "allow",
            "misfire_policy": "run_all",
            "recurrence_type": "interval",
            "recurrence_config": {"every": 10, "unit": "seconds"},
            "start_at": (datetime.now(UTC) + begins_in).isoformat(),
        }
        made: dict[str, Any] = self.site.post("/api/schedule/tasks", fields)
        return made

    def marked(self) -> set[str]:
        return {
            name for (name,) in self.site.query("SELECT name FROM devices_device WHERE in_recovery")
        }

    def alarms(self) -> set[tuple[str, str, str]]:
        rows = self.site.query("SELECT device_name, run_id::text, kind FROM scheduling_alarm")
        return {(name, run, kind) for name, run, kind in rows}

    def check_that_each_ran_once(self) -> None:
        """The devices' notes against the server's rows, once all has ended."""
        sql = "SELECT id::text, status FROM scheduled_task_device_runs"
        rows = until(lambda: self._ended(sql), what="the end of every run")
        starts, ends = self.noted("start"), self.noted("end")
        assert max(starts.values()) == 1
        assert starts == ends
        for run, status in rows:
            never = status in ("cancelled", "skipped", "expired", "rejected")
            assert starts[run] == (0 if never else 1), (run, status)

    def _ended(self, sql: str) -> list[tuple[Any, ...]] | None:
        rows = self.site.query(sql)
        return None if any(status in UNENDED for _, status in rows) else rows


def _postgres(program: str, *arguments: str) -> None:
    path = Binaries.installed().postgres / program
    subprocess.run([path, *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    tmp_path.chmod(0o711)
    folder = tmp_path / "town"
    folder.mkdir()
    with site() as system, fleet(system, folder, 2) as devices:
        yield Town(system, devices, folder)


def test_after_a_restore_nothing_runs_twice_and_every_run_ends_as_it_did(town: Town) -> None:
    site, (one, two) = town.site, town.fleet.devices
    away, gone, asleep = town.fleet.join(3)
    done = town.begin(town.line(), one)
    town.until_status(done, one, "succeeded")
    fails = town.begin(town.line(gate="fails", code=3), one)
    lasts = town.begin(town.line(gate="lasts"), two)
    waves = town.begin(
        town.line(gate="waves"), one, two, rollout={"strategy": "rolling", "batch_size": 1}
    )
    until(lambda: len(town.noted("start")) == 4 or None, what="all that can begin at work")
    waits, given_up = town.begin(town.line(), away), town.begin(town.line(), gone)
    unseen, dropped = town.begin(town.line(), asleep), town.begin(town.line(), asleep)
    for execution, device in ((waits, away), (given_up, gone), (unseen, asleep)):
        town.until_status(execution, device, "queued")
    often = town.often(two, begins_in=timedelta(seconds=45))

    taken_at = datetime.now(UTC)
    file = town.dump()
    assert site.executions(often["id"]) == [], "too slow: the dump knows of what it should not"

    # All of this the restored database knows nothing of.
    for gate in ("fails", "waves"):
        town.open_gate(gate)
    for device in (away, gone):
        device.start()
    town.until_status(fails, one, "failed")
    for execution, device in ((waves, one), (waves, two), (waits, away), (given_up, gone)):
        town.until_status(execution, device, "succeeded")
    until(lambda: len(site.executions(often["id"])) >= 2 or None, 150, what="two occurrences")
    # The device is to have told of them before the server is gone, and to begin no other.
    site.post(f"/api/schedule/tasks/{often['id']}/pause", status=200)
    until(
        lambda: all(one["completed_at"] for one in site.executions(often["id"])),
        what="the end of every occurrence",
    )
    lasting = town.run_of(lasts, two)["id"]
    until(lambda: set(two.entries()) == {lasting}, what="every other run of it settled")
    stray = town.begin(town.line(gate="stray"), one)
    town.until_noted("start", stray, one)
    stray_run = town.run_of(stray, one)["id"]
    for device in (away, gone):
        device.stop()

    town.restore(file)
    assert "Devices marked: 5." in town.recovery("on", "--backup-taken-at", taken_at.isoformat())
    town.start()

    # Who is there has told; the others are waited for, and nothing of theirs is granted or ended.
    until(lambda: town.marked() == {away.name, gone.name, asleep.name} or None, what="two answers")
    assert town.until_status(fails, one, "failed")["exit_code"] == 3
    for device in (one, two):
        assert not town.until_status(waves, device, "succeeded")["was_lost"]
    town.until_status(lasts, two, "running")
    fresh = town.begin(town.line(), away)
    site.post(f"/api/schedule/runs/{town.run_of(dropped, asleep)['id']}/cancel", status=202)
    for execution, device in ((waits, away), (unseen, asleep), (dropped, asleep), (fresh, away)):
        run = town.run_of(execution, device)
        assert (run["started_at"], run["finished_at"]) == (None, None)
        assert run["waiting_for"] == "recovery"

    # A run that this server never heard of goes on, and people hear of it.
    assert town.alarms() == {(one.name, stray_run, "unknown_run")}
    town.open_gate("stray")
    until(lambda: town.noted("end")[stray_run] or None, what="the end of the stray run")

    # What came due between dump and restore is one row, and the plan goes on after it.
    missed = [run for run in site.executions(often["id"]) if run["status"] == "missed"]
    assert len(missed) == 1
    assert "may have run" in missed[0]["error_message"]
    site.post(f"/api/schedule/tasks/{often['id']}/pause", status=200)

    town.open_gate("lasts")
    run = town.until_status(lasts, two, "succeeded")
    assert site.output(run["id"])["text"] == "before\nafter\n"
    assert "Runs lost: 1." in town.recovery("off", gone.name)
    for device in (away, gone, asleep):
        device.start()
    assert not town.until_status(waits, away, "succeeded")["was_lost"]
    assert town.until_status(given_up, gone, "lost")["was_lost"]
    for execution, device in ((fresh, away), (unseen, asleep)):
        town.until_status(execution, device, "succeeded")
    town.until_status(dropped, asleep, "cancelled")
    until(lambda: "off" in town.recovery("status") or None, what="the end of recovery mode")

    town.check_that_each_ran_once()


def test_a_second_restore_of_the_same_dump_changes_nothing_more(town: Town) -> None:
    one, two = town.fleet.devices
    runs = town.begin(town.line(gate="open"), one, two)
    until(lambda: len(town.noted("start")) == 2 or None, what="both at work")
    file = town.dump()
    town.open_gate("open")
    for device in (one, two):
        town.until_status(runs, device, "succeeded")
    for _ in range(2):
        town.restore(file)
        town.recovery("on")
        town.start()
        for device in (one, two):
            assert not town.until_status(runs, device, "succeeded")["was_lost"]
    town.check_that_each_ran_once()
