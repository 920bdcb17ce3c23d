"""The ten endpoints: what they do and what they answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import TASKS, address

FIELDS = {
    "id", "user_id", "name", "description", "tags", "task_type", "status", "recurrence_type",
    "recurrence_config", "schedule_text", "time_zone", "next_run_time", "last_run_time",
    "last_execution_status", "execution_count", "device_ids", "group_ids", "task_payload", "ad_hoc",
    "start_at", "end_at", "max_runs", "jitter_seconds", "excluded_dates", "depends_on",
    "misfire_policy", "misfire_grace_seconds", "overlap_policy", "offline_policy",
    "expires_after_seconds", "rollout", "retry", "timeout_seconds", "created_at", "updated_at",
}  # fmt: skip


def test_a_created_task_is_answered_whole(
    api: APIClient, body: dict[str, Any], operator: User, web_group: DeviceGroup
) -> None:
    answer = api.post(TASKS, body)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == FIELDS
    assert made["user_id"] == operator.pk
    assert made["status"] == "pending"
    assert made["group_ids"] == [str(web_group.pk)]
    assert made["next_run_time"].endswith("T02:00:00Z")
    assert made["last_execution_status"] is None
    assert made["rollout"]["max_concurrent"] == 100


def test_the_payload_may_come_under_the_name_of_its_kind(
    api: APIClient, body: dict[str, Any]
) -> None:
    body["command_payload"] = body.pop("task_payload")
    made = api.post(TASKS, body).json()
    assert made["task_payload"]["command"] == "echo hello"
    assert "command_payload" not in made


@pytest.mark.parametrize(
    ("recurrence_type", "config"),
    [
        ("once", {"run_at": "2099-01-31T02:00"}),
        ("interval", {"every": 15, "unit": "minutes"}),
        ("daily", {"time": "02:00", "every": 3}),
        ("weekly", {"time": "02:00", "days_of_week": [0, 4]}),
        ("monthly", {"time": "02:00", "nth": 2, "weekday": 1}),
        ("custom", {"cron_expression": "*/15 8-18 * * 1-5"}),
    ],
)
def test_every_recurrence_type_is_planned(
    api: APIClient, body: dict[str, Any], recurrence_type: str, config: dict[str, Any]
) -> None:
    body |= {"recurrence_type": recurrence_type, "recurrence_config": config}
    made = api.post(TASKS, body).json()
    assert made["recurrence_type"] == recurrence_type
    assert made["next_run_time"]
    assert made["schedule_text"]


def test_a_task_whose_zone_is_no_more_does_not_hide_the_others(
    api: APIClient, task: ScheduledTask
) -> None:
    ScheduledTask.objects.filter(pk=task.pk).update(time_zone="Europe/Atlantis")
    answer = api.get(TASKS)
    assert answer.status_code == 200
    assert "time zone" in answer.json()["results"][0]["schedule_text"]


def test_put_of_what_get_answered_changes_nothing(api: APIClient, task: ScheduledTask) -> None:
    before = api.get(address(task)).json()
    answer = api.put(address(task), before)
    assert answer.status_code == 200
    assert {**answer.json(), "updated_at": None} == {**before, "updated_at": None}


def test_put_resets_an_optional_field_that_is_left_out(
    api: APIClient, body: dict[str, Any], task: ScheduledTask
) -> None:
    api.patch(address(task), {"description": "Nightly", "jitter_seconds": 60})
    answer = api.put(address(task), body).json()
    assert (answer["description"], answer["jitter_seconds"]) == ("", 0)


def test_patch_keeps_what_is_left_out(api: APIClient, task: ScheduledTask) -> None:
    api.patch(address(task), {"description": "Nightly"})
    answer = api.patch(address(task), {"name": "Space"}).json()
    assert (answer["name"], answer["description"]) == ("Space", "Nightly")


def test_a_task_keeps_its_type(api: APIClient, task: ScheduledTask) -> None:
    answer = api.patch(address(task), {"task_type": "file_deployment"})
    assert answer.status_code == 400
    assert "task_type" in answer.json()


def test_a_paused_task_has_no_next_run_and_pausing_again_is_a_conflict(
    api: APIClient, task: ScheduledTask
) -> None:
    paused = api.post(address(task, "pause"))
    assert paused.status_code == 200
    assert (paused.json()["status"], paused.json()["next_run_time"]) == ("paused", None)
    again = api.post(address(task, "pause"))
    assert again.status_code == 409
    assert again.json()["status"] == "paused"
    assert again.json()["detail"]


def test_resume_plans_anew_and_is_a_conflict_unless_paused(
    api: APIClient, task: ScheduledTask
) -> None:
    refused = api.post(address(task, "resume"))
    assert (refused.status_code, refused.json()["status"]) == (409, "pending")
    api.post(address(task, "pause"))
    resumed = api.post(address(task, "resume"))
    assert resumed.status_code == 200
    assert resumed.json()["status"] == "pending"
    assert resumed.json()["next_run_time"] is not None


def test_execute_answers_the_execution_and_leaves_the_plan_alone(
    api: APIClient, task: ScheduledTask, operator: User
) -> None:
    answer = api.post(address(task, "execute"))
    assert answer.status_code == 202
    opened = answer.json()
    assert (opened["task_id"], opened["trigger"]) == (str(task.pk), "manual")
    assert (opened["status"], opened["user_id"]) == ("running", operator.pk)
    assert opened["result"]["devices_targeted"] == 1
    assert opened["result"]["counts"]["pending"] == 1
    shown = api.get(address(task)).json()
    assert task.next_run_time is not None
    assert shown["next_run_time"] == task.next_run_time.isoformat().replace("+00:00", "Z")
    assert (shown["status"], shown["execution_count"]) == ("running", 1)


def test_a_paused_task_may_be_executed_and_stays_paused(
    api: APIClient, task: ScheduledTask
) -> None:
    api.post(address(task, "pause"))
    assert api.post(address(task, "execute")).status_code == 202
    assert api.get(address(task)).json()["status"] == "paused"


def test_a_deleted_task_is_gone_and_its_execution_stays_with_its_name(
    api: APIClient, task: ScheduledTask, run: Any, execution: Execution
) -> None:
    assert api.delete(address(task)).status_code == 204
    assert api.get(address(task)).status_code == 404
    kept = api.get(address(execution)).json()
    assert (kept["task_id"], kept["task_name"]) == (None, task.name)
    assert ScheduledTask.objects.count() == 0


def test_executions_of_a_task_come_newest_first(api: APIClient, task: ScheduledTask) -> None:
    made = [factories.execution(task, status="success") for _ in range(3)]
    factories.execution(factories.task(task.user, groups=[_group(task)]))
    answer = api.get(address(task, "executions")).json()
    assert [one["id"] for one in answer["results"]] == [str(one.pk) for one in reversed(made)]
    assert answer["count"] == 3


def _group(task: ScheduledTask) -> DeviceGroup:
    return DeviceGroup.objects.get(pk=task.group_ids[0])


def test_stats_count_by_status_and_show_the_five_that_run_soonest(
    api: APIClient, operator: User, web_group: DeviceGroup
) -> None:
    for hour in range(6):
        factories.task(operator, groups=[web_group], recurrence_config={"time": f"{hour:02}:30"})
    api.post(address(ScheduledTask.objects.all()[0], "pause"))
    stats = api.get("/api/schedule/stats").json()
    assert set(stats) == {
        "total", "pending", "running", "completed", "failed", "paused", "upcoming",
    }  # fmt: skip
    assert (stats["total"], stats["pending"], stats["paused"]) == (6, 5, 1)
    times = [one["next_run_time"] for one in stats["upcoming"]]
    assert len(times) == 5
    assert times == sorted(times)
    assert set(stats["upcoming"][0]) == {"id", "name", "task_type", "next_run_time"}


def test_what_runs_later_than_in_a_week_is_not_upcoming(
    api: APIClient, operator: User, web_group: DeviceGroup
) -> None:
    later = (timezone.now() + timedelta(days=8)).strftime("%Y-%m-%dT%H:%M")
    factories.task(
        operator, groups=[web_group], recurrence_type="once", recurrence_config={"run_at": later}
    )
    assert api.get("/api/schedule/stats").json()["upcoming"] == []


def test_an_administrator_may_hand_a_task_over_and_nobody_else(
    api: APIClient, admin_api: APIClient, task: ScheduledTask, outsider: User
) -> None:
    assert api.patch(address(task), {"user_id": outsider.pk}).json()["user_id"] == task.user_id
    handed = admin_api.patch(address(task), {"user_id": outsider.pk})
    assert handed.json()["user_id"] == outsider.pk
    assert api.get(address(task)).status_code == 404


def test_who_is_handed_a_task_gets_what_came_of_it(
    admin_api: APIClient,
    outside: APIClient,
    outsider: User,
    task: ScheduledTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedules, "HANDED_OVER_AT_ONCE", 1)
    opened = [factories.execution(task, status="success"), factories.execution(task)]
    run = factories.run(opened[1])
    assert outside.get(address(opened[1])).status_code == 404
    admin_api.patch(address(task), {"user_id": outsider.pk})
    listed = outside.get(address(task, "executions")).json()["results"]
    assert [one["id"] for one in listed] == [str(one.pk) for one in reversed(opened)]
    assert outside.get(address(opened[0])).status_code == 200
    assert outside.get(address(run)).status_code == 200
    assert outside.post(address(opened[1], "cancel")).status_code == 202
