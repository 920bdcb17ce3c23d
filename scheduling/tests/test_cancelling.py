from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from accounts.errors import InvalidInput, StateConflict
from scheduling import cancelling, executions, rollout
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


@pytest.mark.parametrize("status", DeviceRun.UNSTARTED)
def test_what_has_not_started_is_cancelled_for_certain(
    execution: Execution, admin: User, status: str
) -> None:
    run = factories.run(execution, status=status)
    executions.cancel(execution, admin)
    run.refresh_from_db()
    assert (run.status, run.started_at) == ("cancelled", None)
    assert run.finished_at is not None


def test_what_has_started_is_asked_to_be_killed(execution: Execution, admin: User) -> None:
    run = factories.run(execution, status="running")
    executions.cancel(execution, admin)
    run.refresh_from_db()
    first = run.cancel_requested_at
    assert (run.status, first is not None) == ("running", True)
    executions.cancel(execution, admin)
    run.refresh_from_db()
    assert run.cancel_requested_at == first


def test_an_execution_cancelled_before_all_had_ended_ends_cancelled(
    execution: Execution, admin: User
) -> None:
    factories.run(execution, status="succeeded")
    factories.run(execution, status="queued")
    executions.cancel(execution, admin)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert execution.status == "cancelled"
    assert execution.result["devices_succeeded"] == 1
    assert execution.result["counts"]["cancelled"] == 1


def test_a_cancel_after_all_had_ended_comes_too_late(execution: Execution, admin: User) -> None:
    factories.run(execution, status="succeeded")
    with pytest.raises(StateConflict):
        executions.cancel(execution, admin)
    cancelling.cancel(execution, admin)  # as a deleted task does
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert execution.status == "success"


def test_an_attempt_that_is_owed_can_be_cancelled(admin: User) -> None:
    execution = factories.execution(factories.task(admin, retry={"max_attempts": 2}))
    factories.run(execution, status="failed")
    executions.cancel(execution, admin)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert (execution.status, execution.runs.count()) == ("cancelled", 1)


def test_nothing_is_released_or_retried_after_a_cancel(admin: User, signer: str) -> None:
    task = factories.task(admin, retry={"max_attempts": 3, "backoff_seconds": 0})
    execution = factories.execution(task)
    factories.run(execution, status="failed")
    factories.run(execution, status="running")
    executions.cancel(execution, admin)
    rollout.advance(execution.pk)
    assert execution.runs.count() == 2


def test_a_wave_alone_can_be_cancelled(execution: Execution, admin: User) -> None:
    first, second = (factories.run(execution, wave=wave) for wave in (1, 2))
    executions.cancel(execution, admin, wave=2)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("pending", "cancelled")
    execution.refresh_from_db()
    assert execution.cancel_requested_at is None
    with pytest.raises(InvalidInput) as refusal:
        executions.cancel(execution, admin, wave=3)
    assert list(refusal.value.errors) == ["wave"]


def test_nothing_of_a_cancelled_wave_is_tried_again(admin: User, signer: str) -> None:
    task = factories.task(admin, retry={"max_attempts": 3, "backoff_seconds": 0})
    execution = factories.execution(task, open_wave=2)
    of_it, other = (factories.run(execution, status="failed", wave=wave) for wave in (1, 2))
    executions.cancel(execution, admin, wave=1)
    rollout.advance(execution.pk)
    attempted = execution.runs.filter(attempt=2).values_list("device", flat=True)
    assert list(attempted) == [other.device_id]
    of_it.refresh_from_db()
    assert of_it.status == "failed"


@pytest.mark.parametrize("status", sorted(Execution.ENDED))
def test_what_has_ended_cannot_be_cancelled(admin: User, status: str) -> None:
    execution = factories.execution(factories.task(admin), status=status)
    with pytest.raises(StateConflict) as conflict:
        executions.cancel(execution, admin)
    assert conflict.value.status == status


def test_a_single_run_is_cancelled_and_the_others_go_on(execution: Execution, admin: User) -> None:
    mine, other = factories.run(execution, status="queued"), factories.run(execution)
    running = factories.run(execution, status="running")
    assert executions.cancel_run(mine, admin).status == "cancelled"
    asked = executions.cancel_run(running, admin)
    assert (asked.status, asked.cancel_requested_at is not None) == ("running", True)
    other.refresh_from_db()
    assert other.status == "pending"


@pytest.mark.parametrize("status", ["succeeded", "killed", "lost", "skipped"])
def test_a_run_that_has_ended_cannot_be_cancelled(
    execution: Execution, admin: User, status: str
) -> None:
    run = factories.run(execution, status=status)
    with pytest.raises(StateConflict):
        executions.cancel_run(run, admin)
