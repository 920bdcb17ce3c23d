"""Every door, tried by nobody, by the outsider, and by tokens that are limited."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern
from rest_framework.test import APIClient

from scheduling.api.urls import urlpatterns
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests.api.conftest import client_of

TASK, EXECUTION, RUN = "tasks", "executions", "runs"
# Method, path, and the scopes a limited token needs.
ON_ONE: list[tuple[str, str, set[str]]] = [
    ("get", "tasks/{tasks}", {"tasks:read"}),
    ("put", "tasks/{tasks}", {"tasks:write"}),
    ("patch", "tasks/{tasks}", {"tasks:write"}),
    ("delete", "tasks/{tasks}", {"tasks:write"}),
    ("post", "tasks/{tasks}/pause", {"tasks:write"}),
    ("post", "tasks/{tasks}/resume", {"tasks:write"}),
    ("post", "tasks/{tasks}/execute", {"tasks:run"}),
    ("get", "tasks/{tasks}/executions", {"tasks:read"}),
    ("get", "executions/{executions}", {"tasks:read"}),
    ("post", "executions/{executions}/cancel", {"tasks:run"}),
    ("post", "executions/{executions}/pause", {"tasks:run"}),
    ("post", "executions/{executions}/resume", {"tasks:run"}),
    ("post", "executions/{executions}/promote", {"tasks:run"}),
    ("post", "executions/{executions}/abort", {"tasks:run"}),
    ("post", "executions/{executions}/retry", {"tasks:run"}),
    ("post", "executions/{executions}/restore", {"tasks:run"}),
    ("get", "executions/{executions}/runs", {"tasks:read"}),
    ("get", "runs/{runs}", {"tasks:read"}),
    ("post", "runs/{runs}/cancel", {"tasks:run"}),
    ("post", "runs/{runs}/restore", {"tasks:run"}),
    ("get", "runs/{runs}/output", {"tasks:read"}),
]
ON_ALL: list[tuple[str, str, set[str]]] = [
    ("get", "tasks", {"tasks:read"}),
    ("post", "tasks", {"tasks:write"}),
    ("get", "executions", {"tasks:read"}),
    ("post", "executions", {"tasks:write", "tasks:run"}),
    ("post", "preview", {"tasks:read"}),
    ("get", "stats", {"tasks:read"}),
    ("get", "calendar", {"tasks:read"}),
]
SCOPES = {"tasks:read", "tasks:write", "tasks:run", "devices:read", "devices:write"}


def ask(client: APIClient, method: str, path: str, things: dict[str, Any]) -> Any:
    return getattr(client, method)(f"/api/schedule/{path.format(**things)}")


@pytest.fixture
def things(task: ScheduledTask, execution: Execution, run: DeviceRun) -> dict[str, Any]:
    return {TASK: task.pk, EXECUTION: execution.pk, RUN: run.pk}


def test_no_endpoint_is_left_out_here() -> None:
    listed = {path.replace("{" + kind + "}", "<uuid:pk>") for _, path, _ in [*ON_ONE, *ON_ALL]
              for kind in [path.partition("/")[0]]}  # fmt: skip
    assert listed == {str(one.pattern) for one in urlpatterns if isinstance(one, URLPattern)}


@pytest.mark.parametrize(("method", "path", "_scopes"), [*ON_ONE, *ON_ALL])
def test_nobody_gets_a_401_that_says_how_to_sign_in(
    anonymous: APIClient, things: dict[str, Any], method: str, path: str, _scopes: set[str]
) -> None:
    answer = ask(anonymous, method, path, things)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path", "_scopes"), ON_ONE)
def test_the_outsider_is_told_there_is_no_such_thing(
    outside: APIClient, things: dict[str, Any], method: str, path: str, _scopes: set[str]
) -> None:
    answer = ask(outside, method, path, things)
    assert answer.status_code == 404
    assert ScheduledTask.objects.get().is_paused is False


@pytest.mark.parametrize("path", ["tasks/{}", "executions/{}", "runs/{}"])
def test_options_tell_the_outsider_the_same_of_what_is_there_and_what_is_not(
    outside: APIClient, things: dict[str, Any], path: str
) -> None:
    there, nowhere = things[path.partition("/")[0]], uuid4()
    answers = [outside.options(f"/api/schedule/{path.format(one)}") for one in (there, nowhere)]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("path", ["tasks", "executions"])
def test_the_outsiders_lists_are_empty(
    outside: APIClient, things: dict[str, Any], path: str
) -> None:
    assert ask(outside, "get", path, things).json()["results"] == []


@pytest.mark.parametrize("path", ["tasks", "executions"])
def test_administrators_see_everybodys(
    admin_api: APIClient, things: dict[str, Any], path: str
) -> None:
    assert len(ask(admin_api, "get", path, things).json()["results"]) == 1


@pytest.mark.parametrize(("method", "path", "needed"), [*ON_ONE, *ON_ALL])
def test_a_limited_token_needs_exactly_these_scopes(
    operator: User, things: dict[str, Any], method: str, path: str, needed: set[str]
) -> None:
    for missing in needed:
        answer = ask(client_of(operator, *(SCOPES - {missing})), method, path, things)
        assert answer.status_code == 403
        assert missing in answer.json()["detail"]
    assert ask(client_of(operator, *needed), method, path, things).status_code not in (401, 403)


def test_the_scope_admin_is_everything_its_person_may_do(
    operator: User, things: dict[str, Any]
) -> None:
    client = client_of(operator, "admin")
    assert ask(client, "post", "tasks/{tasks}/execute", things).status_code == 202


def test_what_a_person_may_not_see_is_no_target(outside: APIClient, body: dict[str, Any]) -> None:
    answer = outside.post("/api/schedule/tasks", body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["group_ids"]


def test_whose_right_on_a_target_is_gone_may_not_save_or_execute_but_sees(
    api: APIClient, task: ScheduledTask, operator: User
) -> None:
    operator.device_groups.clear()
    path = f"/api/schedule/tasks/{task.pk}"
    assert api.get(path).status_code == 200
    assert api.post(f"{path}/execute").status_code == 403
    assert api.patch(path, {"name": "Mine"}).status_code == 403
    api.post(f"{path}/pause")
    assert api.post(f"{path}/resume").status_code == 403


def test_a_deactivated_person_and_their_tokens_are_shut_out(api: APIClient, operator: User) -> None:
    operator.is_active = False
    operator.save()
    assert api.get("/api/schedule/tasks").status_code == 401
