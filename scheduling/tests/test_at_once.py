"""What happens at the same moment in several processes, on connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from accounts.errors import InvalidInput, StateConflict
from devices import keys
from devices.ledger_port import RunGo
from scheduling import executions, opening, rollout, schedules
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.test_claiming import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(sent: Any) -> User:
    keys.ensure_key()
    return factories.person("admin", is_administrator=True)


def side_by_side(*works: Callable[[], Any]) -> list[Any]:
    """What each answered, or the error it was refused with."""
    answers: list[Any] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def one(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            answers[number] = works[number]()
        except (InvalidInput, StateConflict) as refusal:
            answers[number] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=[number]) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_workers_that_advance_together_release_each_run_once(admin: User) -> None:
    task = factories.by_hand(
        admin,
        devices=[factories.device() for _number in range(6)],
        rollout={"max_concurrent": 4},
    )
    execution = schedules.execute(task, admin)
    at_once(4, lambda: rollout.advance(execution.pk))
    assert execution.runs.filter(status="queued", has_slot=True).count() == 4
    assert execution.runs.filter(status="pending").count() == 2


def test_workers_that_advance_together_add_one_attempt(admin: User) -> None:
    task = factories.task(admin, retry={"max_attempts": 5, "backoff_seconds": 0})
    execution = factories.execution(task)
    factories.run(execution, status="failed")
    at_once(4, lambda: rollout.advance(execution.pk))
    assert sorted(execution.runs.values_list("attempt", flat=True)) == [1, 2]


@pytest.mark.parametrize("number", range(5))
def test_a_start_and_a_cancel_never_both_win(admin: User, number: int) -> None:
    run = factories.run(factories.execution(factories.task(admin)), status="claimed")
    assert run.device is not None
    session = factories.session_of(run.device)
    (answer,), _execution = side_by_side(
        lambda: factories.ledger.start([(session, run.pk)]),
        lambda: executions.cancel(run.execution, admin),
    )
    run.refresh_from_db()
    assert run.cancel_requested_at is not None
    if isinstance(answer, RunGo):
        assert run.status == "running"  # and is asked to be killed
    else:
        assert (run.status, run.started_at) == ("cancelled", None)


@pytest.mark.parametrize("number", range(3))
def test_a_result_and_a_cancel_settle_on_one_end(admin: User, number: int) -> None:
    run = factories.run(factories.execution(factories.task(admin)), status="running")
    (ack,), _answer = side_by_side(
        lambda: factories.ledger.results([factories.result_of(run)]),
        lambda: executions.cancel_run(run, admin),
    )
    run.refresh_from_db()
    assert (ack.state, run.status) == ("succeeded", "succeeded")


def test_the_end_of_a_parent_told_twice_at_once_opens_once(admin: User) -> None:
    parent = factories.task(admin)
    links = [{"task_id": str(parent.pk), "on": "success"}]
    child = factories.by_hand(admin, depends_on=links)
    ended = factories.execution(parent, status="success")
    at_once(4, lambda: opening.open_dependents(ended.pk))
    assert child.executions.count() == 1


@pytest.mark.parametrize("number", range(3))
def test_two_links_that_would_close_a_circle_never_both_hold(admin: User, number: int) -> None:
    one, other = factories.task(admin, name="One"), factories.task(admin, name="Other")

    def after(task: ScheduledTask) -> dict[str, Any]:
        return {"depends_on": [{"task_id": str(task.pk), "on": "success"}]}

    answers = side_by_side(
        lambda: schedules.update(one, admin, after(other), partial=True),
        lambda: schedules.update(other, admin, after(one), partial=True),
    )
    (refused,) = [answer for answer in answers if isinstance(answer, InvalidInput)]
    assert "circle" in str(refused)
    assert one.dependencies.count() + other.dependencies.count() == 1


def test_a_delete_and_an_opening_leave_either_or(admin: User) -> None:
    task = factories.task(admin)
    factories.make_due(task)
    side_by_side(
        lambda: opening.open_due(task.pk, None, "beat"), lambda: schedules.delete(task, admin)
    )
    for execution in Execution.objects.all():
        assert (execution.task, execution.cancel_requested_at is not None) == (None, True)
    assert not DeviceRun.objects.unended().exists()


def test_a_retry_and_a_delete_do_not_lock_each_other_out(admin: User) -> None:
    task = factories.task(admin)
    execution = factories.execution(task)
    factories.run(execution, status="failed")
    rollout.advance(execution.pk)
    again, _deleted = side_by_side(
        lambda: executions.retry(execution, admin), lambda: schedules.delete(task, admin)
    )
    assert isinstance(again, Execution)


def test_pausing_twice_at_once_is_one_pause_and_one_conflict(admin: User) -> None:
    task = factories.task(admin)
    answers = side_by_side(*[lambda: schedules.pause(task, admin)] * 2)
    assert sum(isinstance(one, StateConflict) for one in answers) == 1
