"""Wrong input: a 400 that names every wrong field, in one answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from devices.models import DeviceGroup
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import EXECUTIONS, TASKS, address

WRONG: dict[str, Any] = {
    "name": "",
    "description": 7,
    "tags": "web",
    "task_type": "tea",
    "recurrence_type": "sometimes",
    "time_zone": "",
    "start_at": "tomorrow",
    "end_at": "2026-12-01T00:00",
    "max_runs": 0,
    "jitter_seconds": -1,
    "excluded_dates": "christmas",
    "device_ids": ["x"],
    "group_ids": 5,
    "depends_on": {"task_id": 1},
    "misfire_policy": "panic",
    "misfire_grace_seconds": True,
    "overlap_policy": None,
    "offline_policy": [],
    "expires_after_seconds": 0,
    "timeout_seconds": 10**9,
    "rollout": {"strategy": "big_bang"},
    "retry": {"max_attempts": 0},
    "user_id": "me",
    "colour": "red",
}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_every_wrong_field_of_a_changed_task_is_named_at_once(
    api: APIClient, task: ScheduledTask, method: str
) -> None:
    answer = getattr(api, method)(address(task), WRONG)
    assert answer.status_code == 400
    assert set(answer.json()) >= WRONG.keys()


def test_every_wrong_field_of_a_new_task_is_named_at_once(api: APIClient) -> None:
    answer = api.post(TASKS, WRONG)
    assert answer.status_code == 400
    assert set(answer.json()) == {*WRONG, "recurrence_config", "task_payload"}
    assert all(isinstance(said, list) and said for said in answer.json().values())


def test_an_empty_body_names_what_is_required(api: APIClient) -> None:
    assert set(api.post(TASKS, {}).json()) >= {
        "name", "task_type", "recurrence_type", "recurrence_config", "task_payload", "device_ids",
        "group_ids",
    }  # fmt: skip
    assert set(api.post(EXECUTIONS, {}).json()) >= {"name", "task_type", "task_payload"}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"task_payload": {}}, {"task_payload"}),
        ({"task_payload": {"command": "a", "rocket": 1}}, {"task_payload"}),
        ({"command_payload": {"command": "a"}}, {"task_payload", "command_payload"}),
        ({"recurrence_config": {"time": "25:00"}}, {"recurrence_config"}),
        ({"time_zone": "Mars/Olympus"}, {"time_zone"}),
        ({"excluded_dates": ["2026-02-30"]}, {"excluded_dates"}),
        ({"device_ids": [], "group_ids": []}, {"device_ids", "group_ids"}),
        ({"depends_on": [{"task_id": "x", "on": "success"}]}, {"depends_on"}),
    ],
)
def test_what_is_wrong_inside_a_field_is_said_under_its_name(
    api: APIClient, body: dict[str, Any], changes: dict[str, Any], wrong: set[str]
) -> None:
    answer = api.post(TASKS, body | changes)
    assert answer.status_code == 400
    assert set(answer.json()) == wrong


def test_a_once_task_in_the_past_is_refused(api: APIClient, body: dict[str, Any]) -> None:
    body |= {"recurrence_type": "once", "recurrence_config": {"run_at": "2020-01-01T00:00"}}
    assert set(api.post(TASKS, body).json()) == {"recurrence_config"}


def test_a_task_cannot_wait_for_itself(api: APIClient, task: ScheduledTask) -> None:
    answer = api.patch(address(task), {"depends_on": [{"task_id": str(task.pk), "on": "success"}]})
    assert set(answer.json()) == {"depends_on"}


@pytest.mark.parametrize("verb", ["pause", "resume", "execute"])
def test_the_verbs_of_a_task_take_no_fields(api: APIClient, task: ScheduledTask, verb: str) -> None:
    answer = api.post(address(task, verb), {"now": True, "later": 1})
    assert (answer.status_code, set(answer.json())) == (400, {"now", "later"})


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
def test_the_verbs_of_a_rollout_take_no_fields(
    api: APIClient, execution: Execution, verb: str
) -> None:
    answer = api.post(address(execution, verb), {"now": True})
    assert (answer.status_code, set(answer.json())) == (400, {"now"})


@pytest.mark.parametrize(
    ("verb", "given", "wrong"),
    [
        ("cancel", {"wave": 0}, {"wave"}),
        ("cancel", {"wave": None}, {"wave"}),
        ("cancel", {"wave": "first"}, {"wave"}),
        ("cancel", {"wave": 7}, {"wave"}),
        ("cancel", {"waves": 1, "force": True}, {"waves", "force"}),
        ("retry", {"statuses": "failed"}, {"statuses"}),
        ("retry", {"statuses": ["running"]}, {"statuses"}),
        ("retry", {"statuses": []}, {"statuses"}),
        ("retry", {"statuses": [{}, 5]}, {"statuses"}),
        ("retry", {"states": ["failed"]}, {"states"}),
    ],
)
def test_wrong_options_of_cancel_and_retry_are_named(
    api: APIClient, execution: Execution, verb: str, given: dict[str, Any], wrong: set[str]
) -> None:
    answer = api.post(address(execution, verb), given)
    assert (answer.status_code, set(answer.json())) == (400, wrong)


def test_cancel_of_a_run_takes_no_fields(api: APIClient, run: DeviceRun) -> None:
    answer = api.post(address(run, "cancel"), {"force": True})
    assert (answer.status_code, set(answer.json())) == (400, {"force"})


def test_every_wrong_field_of_a_preview_is_named(api: APIClient) -> None:
    wrong = {
        "recurrence_type": "daily", "time_zone": 5, "count": 101, "after": "now", "name": "x",
    }  # fmt: skip
    answer = api.post("/api/schedule/preview", wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == {"recurrence_config", "time_zone", "count", "after", "name"}


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (
            "tasks?status=busy&task_type=tea&recurrence_type=never&device=x&group=y&ad_hoc=maybe"
            "&ordering=colour",
            {
                "status", "task_type", "recurrence_type", "device", "group", "ad_hoc", "ordering",
            },
        ),
        ("tasks?page=0&page_size=201", {"page", "page_size"}),
        ("tasks?page=two&page_size=many", {"page", "page_size"}),
        (
            "executions?task=x&device=y&status=busy&trigger=whim&from=noon&to=never",
            {"task", "device", "status", "trigger", "from", "to"},
        ),
        ("executions?page_size=0", {"page_size"}),
        ("stats?ad_hoc=perhaps", {"ad_hoc"}),
    ],
)  # fmt: skip
def test_every_wrong_parameter_of_a_list_is_named(
    api: APIClient, path: str, wrong: set[str]
) -> None:
    answer = api.get(f"/api/schedule/{path}")
    assert (answer.status_code, set(answer.json())) == (400, wrong)


def test_every_wrong_parameter_of_output_and_runs_is_named(api: APIClient, run: DeviceRun) -> None:
    answer = api.get(address(run, "output?offset=-1&stream=stdlog&wait=26"))
    assert (answer.status_code, set(answer.json())) == (400, {"offset", "stream", "wait"})
    answer = api.get(address(run.execution, "runs?status=busy"))
    assert (answer.status_code, set(answer.json())) == (400, {"status"})


def test_an_id_that_is_none_is_a_404(api: APIClient) -> None:
    for none in ("/1", "/00000000-0000-7000-8000-000000000000", "/"):
        answer = api.get(f"{TASKS}{none}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_execute_now_names_its_wrong_fields(
    api: APIClient, operator: User, web_group: DeviceGroup
) -> None:
    given = factories.definition(groups=[web_group], timeout_seconds=0, colour="red")
    answer = api.post(EXECUTIONS, given)
    assert (answer.status_code, set(answer.json())) == (400, {"timeout_seconds", "colour"})
