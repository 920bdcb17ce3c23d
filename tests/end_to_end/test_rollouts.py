"""Every strategy, on real agents: which device did what in which order, as the devices saw it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fleet import Fleet
from tests.running import BY_HAND, RunningSystem, until

# The shim above a command has its state directory in its command line, which is named after its device.
WHO = "d=$(tr '\\0' '\\n' < /proc/$PPID/cmdline | tail -n 1); d=${d%/runs/*}; d=${d##*/}"


@dataclass(slots=True)
class Machines:
    """Three devices. Each appends a line to a file of its own for everything it does, and does as
    the files `NAME.holds` and `NAME.fails` say."""

    system: RunningSystem
    fleet: Fleet
    folder: Path

    @property
    def names(self) -> list[str]:
        return [device.name for device in self.fleet.devices]

    def did(self) -> dict[str, list[str]]:
        return {name: self._file(name).read_text().split() for name in self.names}

    def clear(self) -> None:
        for name in self.names:
            self._file(name).write_text("")
            for mark in ("holds", "fails"):
                self._file(name, mark).unlink(missing_ok=True)

    def mark(self, place: int, mark: str, is_set: bool = True) -> None:
        file = self._file(self.names[place], mark)
        file.touch() if is_set else file.unlink()

    def execute(self, rollout: dict[str, Any], **fields: Any) -> str:
        here = self.folder
        body = {
            "name": "A rollout's",
            "task_type": "command",
            "command_payload": {
                "command": f"{WHO}; echo begin >> {here}/$d;"
                f" while test -e {here}/$d.holds; do sleep 0.05; done;"
                f" echo end >> {here}/$d; test ! -e {here}/$d.fails",
                "rollback_command": f"{WHO}; echo undo >> {here}/$d",
            },
            **BY_HAND,
            "device_ids": self.fleet.ids,
            "rollout": rollout,
            **fields,
        }
        task = self.system.post("/api/schedule/tasks", body)
        made = self.system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
        return str(made["id"])

    def steer(self, execution: str, verb: str, body: Any = None, status: int = 202) -> Any:
        return self.system.post(f"/api/schedule/executions/{execution}/{verb}", body, status)

    def runs(self, execution: str) -> dict[str, dict[str, Any]]:
        return {run["device_name"]: run for run in self.system.runs(execution)}

    def waits_for(self, execution: str, place: int, reason: str) -> None:
        name = self.names[place]
        until(
            lambda: self.runs(execution)[name]["waiting_for"] == reason or None,
            what=f"{name} waiting for {reason}",
        )

    def has_begun(self, place: int) -> None:
        name = self.names[place]
        until(lambda: self.did()[name] or None, what=f"{name} beginning")

    def _file(self, name: str, mark: str = "") -> Path:
        return self.folder / (f"{name}.{mark}" if mark else name)


@pytest.fixture(scope="module")
def started(system: RunningSystem) -> Iterator[Machines]:
    with tempfile.TemporaryDirectory(prefix="deployx-rollouts-") as path:
        folder = Path(path)
        (folder / "did").mkdir()
        fleet = Fleet(system, folder, prefix="machine")
        try:
            fleet.join(3)
            fleet.start()
            yield Machines(system, fleet, folder / "did")
        finally:
            fleet.close()


@pytest.fixture
def machines(started: Machines) -> Machines:
    started.clear()
    return started


DONE, UNDONE = ["begin", "end"], ["begin", "end", "undo"]


def intervals(machines: Machines, execution: str) -> list[tuple[str, str]]:
    """When each device began and ended, by the server's clock, in order."""
    runs = machines.runs(execution).values()
    return sorted((run["started_at"], run["finished_at"]) for run in runs)


def test_parallel_goes_everywhere_at_once(machines: Machines) -> None:
    for place in range(3):
        machines.mark(place, "holds")
    execution = machines.execute({"strategy": "parallel"})
    for place in range(3):
        machines.has_begun(place)
    for place in range(3):
        machines.mark(place, "holds", False)
    assert machines.system.ended(execution)["status"] == "success"
    assert list(machines.did().values()) == [DONE] * 3


def test_never_more_at_a_time_than_allowed(machines: Machines) -> None:
    execution = machines.execute({"strategy": "parallel", "max_concurrent": 1})
    assert machines.system.ended(execution)["status"] == "success"
    (_, first), (second, then), (third, _) = intervals(machines, execution)
    assert first <= second <= then <= third


def test_a_rolling_rollout_is_held_and_hurried_by_hand(machines: Machines) -> None:
    machines.mark(0, "holds")
    machines.mark(1, "holds")
    execution = machines.execute({"strategy": "rolling", "batch_size": 1})
    machines.has_begun(0)
    machines.waits_for(execution, 1, "earlier_wave")
    machines.steer(execution, "promote")
    machines.has_begun(1)
    machines.steer(execution, "pause")
    machines.steer(execution, "pause", status=409)
    machines.steer(execution, "promote")
    machines.waits_for(execution, 2, "rollout_paused")
    machines.mark(0, "holds", False)
    machines.mark(1, "holds", False)
    until(
        lambda: list(machines.did().values()) == [DONE, DONE, []] or None, what="two of them done"
    )
    machines.steer(execution, "resume")
    assert machines.system.ended(execution)["status"] == "success"
    machines.steer(execution, "resume", status=409)
    assert list(machines.did().values()) == [DONE] * 3


def test_a_canary_that_fails_keeps_the_others_from_it_until_they_are_retried(
    machines: Machines,
) -> None:
    machines.mark(0, "fails")
    execution = machines.execute({"strategy": "canary", "canary_size": 1})
    ended = machines.system.ended(execution)
    assert (ended["status"], ended["result"]["counts"]["skipped"]) == ("failed", 2)
    assert "too few devices of the first wave succeeded" in ended["error_message"]
    assert list(machines.did().values()) == [DONE, [], []]
    machines.clear()
    again = machines.steer(execution, "retry", {"statuses": ["failed", "skipped"]})
    assert machines.system.ended(again["id"])["status"] == "success"
    assert list(machines.did().values()) == [DONE] * 3


def test_the_other_half_follows_the_first(machines: Machines) -> None:
    execution = machines.execute({"strategy": "blue_green"})
    assert machines.system.ended(execution)["status"] == "success"
    runs = machines.runs(execution).values()
    first_ended = max(run["finished_at"] for run in runs if run["wave"] == 1)
    assert [run["started_at"] >= first_ended for run in runs if run["wave"] == 2] == [True]


def test_a_transactional_rollout_leaves_nothing_of_it_anywhere(machines: Machines) -> None:
    machines.mark(1, "fails")
    execution = machines.execute({"strategy": "transactional"})
    ended = machines.system.ended(execution)
    assert (ended["status"], ended["result"]["devices_succeeded"]) == ("partial", 2)
    assert "cannot succeed any more" in ended["error_message"]
    assert list(machines.did().values()) == [UNDONE] * 3
    rollbacks = [run for run in machines.system.runs(execution) if run["rolls_back"]]
    assert [run["status"] for run in rollbacks] == ["succeeded"] * 3


def test_an_abort_lets_what_has_begun_finish(machines: Machines) -> None:
    machines.mark(0, "holds")
    execution = machines.execute({"strategy": "rolling", "batch_size": 1})
    machines.has_begun(0)
    machines.steer(execution, "abort")
    machines.steer(execution, "abort", status=409)
    machines.mark(0, "holds", False)
    ended = machines.system.ended(execution)
    assert (ended["status"], ended["result"]["counts"]["skipped"]) == ("success", 2)
    assert list(machines.did().values()) == [DONE, [], []]


def test_what_fails_is_tried_again_by_itself(machines: Machines) -> None:
    machines.mark(2, "fails")
    machines.mark(2, "holds")
    execution = machines.execute(
        {"strategy": "parallel"}, retry={"max_attempts": 2, "backoff_seconds": 0}
    )
    machines.has_begun(2)
    machines.mark(2, "holds", False)
    ended = machines.system.ended(execution)
    assert (ended["status"], ended["result"]["devices_failed"]) == ("partial", 1)
    assert list(machines.did().values()) == [DONE, DONE, DONE * 2]
