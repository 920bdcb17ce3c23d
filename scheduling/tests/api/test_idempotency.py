"""`Idempotency-Key` and `If-Match`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import once
from accounts.models import IdempotencyKey
from scheduling import schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests.api.conftest import EXECUTIONS, TASKS, address, client_of

KEY = {"Idempotency-Key": "order-66"}


def test_the_same_request_twice_creates_once_and_answers_alike(
    api: APIClient, body: dict[str, Any]
) -> None:
    first = api.post(TASKS, body, headers=KEY)
    second = api.post(TASKS, body, headers=KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert ScheduledTask.objects.count() == 1


def test_without_a_key_it_creates_twice(api: APIClient, body: dict[str, Any]) -> None:
    api.post(TASKS, body)
    api.post(TASKS, body)
    assert ScheduledTask.objects.count() == 2


def test_execute_execute_now_and_retry_take_a_key(
    api: APIClient, task: ScheduledTask, body: dict[str, Any]
) -> None:
    for _ in range(2):
        assert api.post(address(task, "execute"), headers=KEY).status_code == 202
        assert api.post(EXECUTIONS, body, headers=KEY).status_code == 202
    assert Execution.objects.count() == 2
    execution = Execution.objects.get(task=task)
    api.post(address(execution, "cancel"))
    Execution.objects.filter(pk=execution.pk).move("cancelled", completed_at=timezone.now())
    answers = [api.post(address(execution, "retry"), headers=KEY) for _ in range(2)]
    assert answers[0].status_code == 202
    assert answers[0].json() == answers[1].json()


def test_the_order_of_members_makes_no_other_body(api: APIClient, body: dict[str, Any]) -> None:
    first = api.post(TASKS, body, headers=KEY).json()
    turned = dict(reversed(body.items()))
    assert api.post(TASKS, turned, headers=KEY).json()["id"] == first["id"]


def test_another_body_under_the_same_key_is_a_conflict(
    api: APIClient, body: dict[str, Any]
) -> None:
    api.post(TASKS, body, headers=KEY)
    answer = api.post(TASKS, body | {"name": "Another"}, headers=KEY)
    assert answer.status_code == 409
    assert answer.json()["detail"]
    assert ScheduledTask.objects.count() == 1


def test_a_key_is_one_persons_and_one_paths(
    api: APIClient, admin_api: APIClient, body: dict[str, Any]
) -> None:
    mine = api.post(TASKS, body, headers=KEY).json()
    assert admin_api.post(TASKS, body, headers=KEY).json()["id"] != mine["id"]
    assert api.post(EXECUTIONS, body, headers=KEY).status_code == 202


def test_a_refused_request_may_be_corrected_under_its_key(
    api: APIClient, body: dict[str, Any]
) -> None:
    assert api.post(TASKS, body | {"name": ""}, headers=KEY).status_code == 400
    assert api.post(TASKS, body, headers=KEY).status_code == 201


def test_a_key_is_forgotten_after_a_day(api: APIClient, body: dict[str, Any]) -> None:
    first = api.post(TASKS, body, headers=KEY).json()
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert api.post(TASKS, body, headers=KEY).json()["id"] != first["id"]


def test_a_key_is_remembered_for_as_long_as_is_set(
    api: APIClient, body: dict[str, Any], settings: Any
) -> None:
    settings.DEPLOYX_KEEP_IDEMPOTENCY_KEYS_DAYS = 3
    first = api.post(TASKS, body, headers=KEY).json()
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=71))
    assert api.post(TASKS, body, headers=KEY).json() == first


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there"])
def test_a_key_that_is_none_is_refused(api: APIClient, body: dict[str, Any], key: str) -> None:
    answer = api.post(TASKS, body, headers={"Idempotency-Key": key})
    assert (answer.status_code, list(answer.json())) == (400, ["Idempotency-Key"])


@pytest.mark.django_db(transaction=True)
def test_two_at_once_act_once_and_both_get_the_first_answer(
    operator: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "WAIT_SECONDS", 60.0)
    clients = [client_of(operator), client_of(operator)]
    together = threading.Barrier(2)

    def create(client: APIClient) -> Any:
        together.wait(60)
        try:
            return client.post(TASKS, body, headers=KEY).json()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(create, clients))
    assert answers[0] == answers[1]
    assert ScheduledTask.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_is_told_to_come_back_and_holds_no_connection_meanwhile(
    operator: Any, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, another = client_of(operator), client_of(operator)
    is_at_it, may_go_on = threading.Event(), threading.Event()
    create = schedules.create

    def slowly(*args: Any) -> ScheduledTask:
        is_at_it.set()
        assert may_go_on.wait(60)
        return create(*args)

    def first() -> Any:
        try:
            return one.post(TASKS, body, headers=KEY)
        finally:
            connections.close_all()

    has_connection: list[bool] = []
    slept = [0.0]

    def sleep(seconds: float) -> None:
        """Nothing else takes time."""
        slept[0] += seconds
        has_connection.append(connection.connection is not None)

    monkeypatch.setattr(schedules, "create", slowly)
    clock = SimpleNamespace(monotonic=lambda: slept[0], sleep=sleep)
    monkeypatch.setattr(once, "time", clock)
    monkeypatch.setattr(once, "WAIT_SECONDS", 0.5)
    with ThreadPoolExecutor(1) as threads:
        going = threads.submit(first)
        assert is_at_it.wait(60)
        waited = another.post(TASKS, body, headers=KEY)
        may_go_on.set()
        assert going.result().status_code == 201
    assert waited.status_code == 409
    assert int(waited["Retry-After"]) > 0
    assert has_connection
    assert not any(has_connection)


def test_an_etag_that_holds_lets_a_change_through_and_one_that_does_not_is_a_412(
    api: APIClient, task: ScheduledTask
) -> None:
    before = api.get(address(task))
    renamed = api.patch(address(task), {"name": "A"}, headers={"If-Match": before["ETag"]})
    assert renamed.status_code == 200
    assert renamed["ETag"] != before["ETag"]
    late = api.patch(address(task), {"name": "B"}, headers={"If-Match": before["ETag"]})
    assert late.status_code == 412
    assert api.get(address(task)).json()["name"] == "A"
    assert api.get(address(task))["ETag"] == renamed["ETag"]


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_if_match_holds_for_verbs_as_well(api: APIClient, task: ScheduledTask, verb: str) -> None:
    assert api.post(address(task, verb), headers={"If-Match": '"old"'}).status_code == 412


def test_delete_heeds_if_match(api: APIClient, task: ScheduledTask) -> None:
    assert api.delete(address(task), headers={"If-Match": '"old"'}).status_code == 412
    tag = api.get(address(task))["ETag"]
    assert api.delete(address(task), headers={"If-Match": tag}).status_code == 204


def test_a_star_matches_whatever_is_there(api: APIClient, task: ScheduledTask) -> None:
    answer = api.patch(address(task), {"name": "A"}, headers={"If-Match": "*"})
    assert answer.status_code == 200
