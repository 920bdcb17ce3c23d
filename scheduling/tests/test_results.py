"""The result of an execution: counted while it runs, stored when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from scheduling import executions, rollout
from scheduling.models import Execution
from scheduling.tests import factories


@pytest.fixture
def running(admin: User) -> Execution:
    execution = factories.execution(factories.task(admin, overlap_policy="allow"))
    for status in ("succeeded", "failed", "running", "queued", "skipped"):
        factories.run(execution, status=status)
    return execution


def test_one_under_way_is_counted_when_somebody_asks(running: Execution) -> None:
    (counted,) = executions.with_results([running])
    assert counted.result["devices_targeted"] == 5
    assert (counted.result["devices_succeeded"], counted.result["devices_failed"]) == (1, 1)
    assert counted.result["counts"]["queued"] == 1


def test_only_the_last_attempt_of_a_device_counts(running: Execution) -> None:
    device = factories.device()
    first = factories.run(running, device, status="failed")
    type(first).objects.filter(pk=first.pk).update(is_last_attempt=False)
    second = factories.run(running, status="succeeded", attempt=2)
    factories.run(running, status="succeeded", rolls_back=second)
    (counted,) = executions.with_results([running])
    assert counted.result["devices_targeted"] == 6
    assert (counted.result["devices_succeeded"], counted.result["devices_failed"]) == (2, 1)


def test_a_page_of_executions_is_counted_by_one_query(
    running: Execution, django_assert_num_queries: Callable[..., Any]
) -> None:
    assert running.task is not None
    more = [factories.execution(running.task) for _number in range(3)]
    with django_assert_num_queries(1):
        executions.with_results([running, *more])


def test_an_ended_one_keeps_what_was_stored(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    run = factories.run(execution, status="succeeded")
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    stored = execution.result
    run.delete()
    assert executions.with_results([execution])[0].result == stored
    assert stored["devices_succeeded"] == 1
