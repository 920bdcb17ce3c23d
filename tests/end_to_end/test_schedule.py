"""What a person schedules over HTTP runs on a real device, and the answers say what happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.end_to_end.conftest import SOON, command
from tests.running import RunningSystem, until


def test_a_once_task_runs_when_it_is_due_and_completes(system: RunningSystem) -> None:
    line = "echo out; echo err >&2; exit 0"
    task = system.post("/api/schedule/tasks", command(system, line, is_due_soon=True))
    assert task["status"] == "pending"
    due = datetime.fromisoformat(task["next_run_time"])
    found = until(lambda: system.executions(task["id"]), what="its execution")
    execution = system.ended(found[0]["id"])
    assert execution["status"] == "success"
    assert execution["trigger"] == "schedule"
    assert datetime.fromisoformat(execution["scheduled_for"]) == due
    assert datetime.fromisoformat(execution["started_at"]) >= due
    assert execution["result"]["devices_targeted"] == 1
    assert execution["result"]["devices_succeeded"] == 1
    assert execution["result"]["counts"]["succeeded"] == 1
    (run,) = system.runs(execution["id"])
    assert (run["status"], run["exit_code"], run["attempt"]) == ("succeeded", 0, 1)
    output = system.output(run["id"])
    assert sorted(output["text"].split()) == ["err", "out"]
    assert output["finished"]
    after = until_settled(system, task["id"])
    assert after["next_run_time"] is None
    assert after["execution_count"] == 1
    assert after["last_execution_status"] == "success"


def until_settled(system: RunningSystem, task_id: str) -> dict[str, object]:
    def completed() -> dict[str, object] | None:
        task: dict[str, object] = system.get(f"/api/schedule/tasks/{task_id}")
        return task if task["status"] == "completed" else None

    return until(completed, what="the task completed")


def test_a_cron_task_runs_at_the_minute_and_plans_the_next(system: RunningSystem) -> None:
    given = command(system, "echo cron")
    due = (datetime.now(UTC) + SOON).replace(second=0, microsecond=0) + timedelta(minutes=1)
    # Only once an hour: the next time does not come while this goes on.
    hourly = {
        "recurrence_type": "custom",
        "recurrence_config": {"cron_expression": f"{due.minute} * * * *"},
    }
    task = system.post("/api/schedule/tasks", {**given, **hourly})
    planned = datetime.fromisoformat(task["next_run_time"])
    assert planned == due
    found = until(lambda: system.executions(task["id"]), 150, what="the minute's execution")
    execution = system.ended(found[0]["id"])
    assert datetime.fromisoformat(execution["scheduled_for"]) == planned
    assert execution["status"] == "success"
    after = system.get(f"/api/schedule/tasks/{task['id']}")
    assert datetime.fromisoformat(after["next_run_time"]) == planned + timedelta(hours=1)
    system.post(f"/api/schedule/tasks/{task['id']}/pause", status=200)
    assert len(system.executions(task["id"])) == 1


def test_a_failing_command_is_told_as_it_was(system: RunningSystem) -> None:
    task = system.post("/api/schedule/tasks", command(system, "echo no >&2; exit 7"))
    opened = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    execution = system.ended(opened["id"])
    assert execution["status"] == "failed"
    assert execution["result"]["devices_failed"] == 1
    (run,) = system.runs(execution["id"])
    assert (run["status"], run["exit_code"]) == ("failed", 7)
    text = system.api.get(
        f"/api/schedule/runs/{run['id']}/output",
        params={"stream": "stderr"},
        headers={"Accept": "text/plain"},
    )
    assert text.content == b"no\n"


def test_a_command_past_its_timeout_is_killed(system: RunningSystem) -> None:
    task = system.post("/api/schedule/tasks", command(system, "sleep 600", timeout_seconds=1))
    opened = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    execution = system.ended(opened["id"])
    (run,) = system.runs(execution["id"])
    assert (execution["status"], run["status"]) == ("failed", "timed_out")
