"""Executions and runs: shown, executed now, cancelled, steered, tried again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from devices.models import Device, DeviceGroup
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import EXECUTIONS, address

EXECUTION_FIELDS = {
    "id", "task_id", "task_name", "user_id", "trigger", "caused_by", "scheduled_for", "created_at",
    "started_at", "completed_at", "status", "result", "error_message",
}  # fmt: skip
RUN_FIELDS = {
    "id", "execution_id", "device_id", "device_name", "status", "was_lost", "waiting_for",
    "waiting_since", "attempt", "wave", "rolls_back", "queued_at", "started_at", "finished_at",
    "exit_code", "error_message", "detail", "output_bytes", "output_truncated",
}  # fmt: skip


def ended(task: ScheduledTask, **states: str) -> Execution:
    """An execution that failed, with a run on a device of each name in its state."""
    execution = factories.execution(task)
    for name, status in states.items():
        factories.run(execution, factories.device(name), status=status)
    Execution.objects.filter(pk=execution.pk).move(
        "failed", completed_at=execution.created_at, result={"counts": {}}
    )
    execution.refresh_from_db()
    return execution


def test_an_execution_under_way_is_counted_when_it_is_asked_for(
    api: APIClient, execution: Execution
) -> None:
    for status in ("pending", "running", "succeeded", "failed"):
        factories.run(execution, factories.device(status), status=status)
    shown = api.get(address(execution)).json()
    assert set(shown) == EXECUTION_FIELDS
    result = shown["result"]
    assert (result["devices_targeted"], result["devices_succeeded"]) == (4, 1)
    assert result["devices_failed"] == 1
    assert set(result["counts"]) == set(DeviceRun.Status.values)
    assert api.get(EXECUTIONS).json()["results"] == [shown]


def test_execute_now_runs_a_definition_and_keeps_it_as_an_ad_hoc_task(
    api: APIClient, web_group: DeviceGroup
) -> None:
    given = factories.definition(groups=[web_group], name="Look")
    for name in ("recurrence_type", "recurrence_config"):
        del given[name]
    answer = api.post(EXECUTIONS, given)
    assert answer.status_code == 202
    opened = answer.json()
    assert (opened["trigger"], opened["task_name"]) == ("manual", "Look")
    carrier = api.get(f"/api/schedule/tasks/{opened['task_id']}").json()
    assert (carrier["ad_hoc"], carrier["recurrence_config"]) == (True, {"run_at": None})


def test_a_refused_execute_now_leaves_no_task_behind(
    api: APIClient, web_group: DeviceGroup
) -> None:
    given = factories.definition(groups=[web_group], task_payload={"command": ""})
    assert api.post(EXECUTIONS, given).status_code == 400
    assert not ScheduledTask.objects.exists()


def test_cancel_ends_what_has_not_started_and_asks_for_the_rest(
    api: APIClient, execution: Execution
) -> None:
    waiting = factories.run(execution, factories.device(), status="queued")
    running = factories.run(execution, factories.device(), status="running")
    answer = api.post(address(execution, "cancel"))
    assert answer.status_code == 202
    assert answer.json()["result"]["counts"]["cancelled"] == 1
    assert api.get(address(waiting)).json()["status"] == "cancelled"
    running.refresh_from_db()
    assert running.cancel_requested_at is not None


def test_cancel_of_one_wave_leaves_the_others(api: APIClient, execution: Execution) -> None:
    first = factories.run(execution, factories.device(), wave=1)
    second = factories.run(execution, factories.device(), wave=2)
    assert api.post(address(execution, "cancel"), {"wave": 2}).status_code == 202
    assert api.get(address(first)).json()["status"] == "pending"
    assert api.get(address(second)).json()["status"] == "cancelled"


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "promote", "abort"])
def test_an_ended_execution_cannot_be_steered(
    api: APIClient, task: ScheduledTask, verb: str
) -> None:
    answer = api.post(address(factories.execution(task, status="success"), verb))
    assert (answer.status_code, answer.json()["status"]) == (409, "success")


def test_a_rollout_is_paused_and_resumed_once(
    api: APIClient, execution: Execution, web_device: Device
) -> None:
    factories.run(execution, web_device)
    assert api.post(address(execution, "resume")).status_code == 409
    assert api.post(address(execution, "pause")).status_code == 202
    assert api.post(address(execution, "pause")).status_code == 409
    assert api.post(address(execution, "resume")).status_code == 202


def test_promote_opens_the_next_wave_and_is_a_conflict_without_one(
    api: APIClient, execution: Execution, web_device: Device
) -> None:
    later = factories.run(execution, web_device, wave=2)
    assert api.get(address(later)).json()["waiting_for"] == "earlier_wave"
    assert api.post(address(execution, "promote")).status_code == 202
    assert api.get(address(later)).json()["waiting_for"] != "earlier_wave"
    refused = api.post(address(execution, "promote"))
    assert (refused.status_code, refused.json()["status"]) == (409, "running")


def test_abort_skips_what_waits_and_lets_the_started_finish(
    api: APIClient, execution: Execution
) -> None:
    waiting = factories.run(execution, factories.device())
    started = factories.run(execution, factories.device(), status="running")
    assert api.post(address(execution, "abort")).status_code == 202
    assert api.get(address(waiting)).json()["status"] == "skipped"
    assert api.get(address(started)).json()["status"] == "running"
    assert api.post(address(execution, "abort")).status_code == 409


def test_retry_takes_the_devices_that_did_not_succeed_but_the_lost(
    admin_api: APIClient, task: ScheduledTask
) -> None:
    original = ended(task, good="succeeded", bad="failed", late="timed_out", gone="lost")
    answer = admin_api.post(address(original, "retry"))
    assert answer.status_code == 202
    again = answer.json()
    assert (again["trigger"], again["caused_by"]) == ("retry", str(original.pk))
    names = {run.device_name for run in DeviceRun.objects.filter(execution=again["id"])}
    assert names == {"bad", "late"}


def test_retry_takes_the_states_that_are_named(admin_api: APIClient, task: ScheduledTask) -> None:
    original = ended(task, bad="failed", gone="lost")
    again = admin_api.post(address(original, "retry"), {"statuses": ["lost"]}).json()
    runs = DeviceRun.objects.filter(execution=again["id"])
    assert [run.device_name for run in runs] == ["gone"]


def test_retry_is_a_conflict_while_it_runs_and_where_nothing_is_to_be_retried(
    admin_api: APIClient, execution: Execution, task: ScheduledTask
) -> None:
    refused = admin_api.post(address(execution, "retry"))
    assert (refused.status_code, refused.json()["status"]) == (409, "running")
    all_good = ended(task, good="succeeded")
    assert admin_api.post(address(all_good, "retry")).status_code == 409


def test_who_may_not_use_a_device_may_not_retry_on_it(api: APIClient, task: ScheduledTask) -> None:
    assert api.post(address(ended(task, bad="failed"), "retry")).status_code == 403


def test_a_run_says_what_it_waits_for(
    api: APIClient, execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, factories.go_offline(web_device), status="queued")
    shown = api.get(address(run)).json()
    assert set(shown) == RUN_FIELDS
    assert shown["waiting_for"] == "device_offline"
    assert shown["waiting_since"] is not None
    assert api.get(address(execution, "runs")).json()["results"] == [shown]


def test_a_run_that_started_waits_for_nothing(api: APIClient, run: DeviceRun) -> None:
    shown = api.get(address(run)).json()
    assert (shown["status"], shown["waiting_for"]) == ("running", None)


def test_a_run_is_cancelled_and_an_ended_one_is_a_conflict(
    api: APIClient, execution: Execution
) -> None:
    waiting = factories.run(execution, factories.device())
    answer = api.post(address(waiting, "cancel"))
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    again = api.post(address(waiting, "cancel"))
    assert (again.status_code, again.json()["status"]) == (409, "cancelled")


def test_who_executed_sees_the_execution_of_anothers_task(
    api: APIClient, operator: User, admin: User
) -> None:
    theirs = factories.task(admin)
    mine = factories.execution(theirs, user=operator)
    assert api.get(address(mine)).status_code == 200
    assert api.get(address(theirs)).status_code == 404


def test_what_an_execution_says_of_not_running_reaches_the_client(
    api: APIClient, body: dict[str, Any]
) -> None:
    DeviceGroup.objects.get(pk=body["group_ids"][0]).devices.clear()
    made = api.post("/api/schedule/tasks", body).json()
    opened = api.post(f"/api/schedule/tasks/{made['id']}/execute").json()
    assert opened["status"] == "skipped"
    assert opened["error_message"]
