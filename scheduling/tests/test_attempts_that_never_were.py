"""A device that failed, and whose next attempt never began, has failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from devices import fleet
from devices.models import Device
from scheduling import cancelling, executions, opening, rollout, schedules
from scheduling.models import Execution
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")


def failed_once(admin: User, *devices: Device, **options: Any) -> Execution:
    """An execution whose first device is in the pause before its second attempt."""
    retry = {"max_attempts": 2, "backoff_seconds": 600}
    task = factories.by_hand(admin, devices=devices, retry=retry, **options)
    execution = schedules.execute(task, admin)
    rollout.advance(execution.pk)
    factories.carry_out(execution.runs.get(device=devices[0]), "failed")
    return advanced(execution)


def advanced(execution: Execution) -> Execution:
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return execution


def superseded(execution: Execution, admin: User) -> None:
    (waiting,) = execution.runs.unended().select_related("device")
    assert waiting.device is not None
    factories.go_offline(waiting.device)
    assert execution.task is not None
    cancelling.supersede_waiting(factories.execution(execution.task))


def deleted(execution: Execution, admin: User) -> None:
    (waiting,) = execution.runs.unended().select_related("device")
    assert waiting.device is not None
    fleet.delete(waiting.device, admin)


def aborted(execution: Execution, admin: User) -> None:
    executions.abort(execution, admin)


def cancelled(execution: Execution, admin: User) -> None:
    executions.cancel_run(execution.runs.unended().get(), admin)


WAYS = [
    (superseded, "skipped"),
    (deleted, "skipped"),
    (aborted, "skipped"),
    (cancelled, "cancelled"),
]


@pytest.mark.parametrize(("end", "status"), WAYS)
def test_it_counts_as_the_attempt_before_that_one_ended(
    admin: User, web_device: Device, end: Callable[[Execution, User], None], status: str
) -> None:
    execution = failed_once(admin, web_device)
    end(execution, admin)
    advanced(execution)
    assert execution.runs.get(attempt=2).status == status
    assert (execution.status, execution.ended_as) == ("failed", "failed")
    assert execution.result["devices_failed"] == 1
    assert execution.result["devices_targeted"] == 1
    assert execution.task is not None
    execution.task.refresh_from_db()
    assert execution.task.status == "failed"


def test_what_is_to_follow_a_failure_follows_it(admin: User, web_device: Device) -> None:
    execution = failed_once(admin, web_device)
    follows = {"task_id": str(execution.task_id), "on": "failure"}
    factories.by_hand(admin, devices=[web_device], depends_on=[follows])
    aborted(execution, admin)
    advanced(execution)
    assert len(opening.open_dependents(execution.pk)) == 1


def test_it_gets_no_further_attempt_while_others_are_at_work(
    admin: User, web_device: Device
) -> None:
    execution = failed_once(admin, web_device, factories.device())
    cancelled_run = execution.runs.get(attempt=2)
    executions.cancel_run(cancelled_run, admin)
    for _ in range(2):
        advanced(execution)
    assert (execution.status, execution.runs.count()) == ("running", 3)


def test_it_counts_in_the_judgement_of_its_wave(admin: User) -> None:
    devices = [factories.device(str(place)) for place in range(4)]
    execution = failed_once(admin, *devices, rollout={"strategy": "canary", "canary_size": 2})
    for run in execution.runs.filter(status="queued"):
        factories.carry_out(run)
    executions.cancel_run(execution.runs.get(attempt=2), admin)
    advanced(execution)
    assert "too few devices of the first wave" in execution.abort_reason


def test_late_evidence_counts_it_alike(admin: User, web_device: Device) -> None:
    execution = failed_once(admin, web_device, factories.device())
    other = execution.runs.get(status="queued")
    assert other.device is not None
    session = factories.session_of(other.device)
    factories.ledger.claim([session])
    factories.ledger.start([(session, other.pk)])
    aborted(execution, admin)
    fleet.revoke(other.device, admin)
    advanced(execution)
    assert (execution.status, execution.result["devices_failed"]) == ("failed", 2)
    factories.ledger.results([factories.result_of(other)])
    execution.refresh_from_db()
    assert (execution.status, execution.result["devices_failed"]) == ("partial", 1)
