"""Pause, resume, execute, edit, cancel and delete act on the running system as the contract says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import command
from tests.running import RunningSystem, until

# At a time that does not come while these tests run.
AT = datetime.now(UTC) + timedelta(hours=12)
DAILY: dict[str, Any] = {"recurrence_type": "daily", "recurrence_config": {"time": f"{AT:%H:%M}"}}


def test_pausing_drops_the_plan_and_resuming_makes_one(system: RunningSystem) -> None:
    task = system.post("/api/schedule/tasks", command(system, "true", **DAILY))
    path = f"/api/schedule/tasks/{task['id']}"
    paused = system.post(f"{path}/pause", status=200)
    assert (paused["status"], paused["next_run_time"]) == ("paused", None)
    again = system.api.post(f"{path}/pause")
    assert (again.status_code, again.json()["status"]) == (409, "paused")
    resumed = system.post(f"{path}/resume", status=200)
    assert (resumed["status"], resumed["next_run_time"]) == ("pending", task["next_run_time"])
    assert system.api.post(f"{path}/resume").status_code == 409


def test_executing_a_paused_task_runs_it_and_leaves_it_paused(system: RunningSystem) -> None:
    task = system.post("/api/schedule/tasks", command(system, "echo by hand", **DAILY))
    path = f"/api/schedule/tasks/{task['id']}"
    system.post(f"{path}/pause", status=200)
    opened = system.post(f"{path}/execute", status=202)
    execution = system.ended(opened["id"])
    assert (execution["status"], execution["trigger"]) == ("success", "manual")
    assert execution["scheduled_for"] is None
    after = system.get(path)
    assert (after["status"], after["next_run_time"]) == ("paused", None)


def test_an_edit_of_the_time_makes_a_new_plan(system: RunningSystem) -> None:
    task = system.post("/api/schedule/tasks", command(system, "true", **DAILY))
    path = f"/api/schedule/tasks/{task['id']}"
    renamed = system.api.patch(path, json={"name": "Another name"}).json()
    assert renamed["next_run_time"] == task["next_run_time"]
    edited = system.api.put(path, json=renamed | {"recurrence_config": {"time": "14:30"}}).json()
    moment = datetime.fromisoformat(edited["next_run_time"])
    assert (moment.hour, moment.minute) == (14, 30)
    assert edited["name"] == "Another name"


def test_deleting_cancels_what_runs_and_keeps_the_history(
    system: RunningSystem, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    task = system.post(
        "/api/schedule/tasks", command(system, f"touch {started}; sleep 600", name="Doomed")
    )
    opened = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    until(started.exists, what="the command started")
    assert system.api.delete(f"/api/schedule/tasks/{task['id']}").status_code == 204
    assert system.api.get(f"/api/schedule/tasks/{task['id']}").status_code == 404
    execution = system.ended(opened["id"])
    assert (execution["status"], execution["task_id"]) == ("cancelled", None)
    assert execution["task_name"] == "Doomed"
    (run,) = system.runs(execution["id"])
    assert run["status"] == "cancelled"


def test_the_command_line_runs_and_answers_with_the_commands_exit_code(
    system: RunningSystem,
) -> None:
    device = system.device()["name"]
    added = system.manage(
        "schedule", "add", "From the shell", "--command", "echo from the shell; exit 3",
        "--daily", "02:00", "--zone", "Europe/Berlin", "--device", device,
    )  # fmt: skip
    assert "From the shell" in added.stdout
    ran = system.manage("schedule", "run", "From the shell", "--wait", check=False)
    assert ran.returncode == 3
    assert "from the shell" in ran.stdout
