"""Recovery mode: what waits while it is on, what is written off, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput, StateConflict
from devices import fleet
from devices.models import Device
from scheduling import cancelling, due, executions, ledger, reconcile, recovery, rollout
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


def status_of(run: DeviceRun) -> str:
    run.refresh_from_db()
    return run.status


def test_every_device_is_marked_and_its_session_ended(admin: User, web_device: Device) -> None:
    revoked = factories.device(revoked_at=timezone.now())
    offline = factories.device(online=False)
    taken_at = timezone.now() - timedelta(hours=2)
    assert recovery.begin(taken_at).devices == 2
    for device in (web_device, offline, revoked):
        device.refresh_from_db()
    assert (web_device.in_recovery, web_device.session) == (True, None)
    assert (offline.in_recovery, revoked.in_recovery) == (True, False)
    status = recovery.status()
    assert (status.is_on, status.marked, status.backup_taken_at) == (True, 2, taken_at)


def test_a_backup_of_the_future_is_refused(web_device: Device) -> None:
    with pytest.raises(InvalidInput) as refused:
        recovery.begin(timezone.now() + timedelta(minutes=1))
    assert list(refused.value.errors) == ["backup_taken_at"]
    assert not recovery.status().is_on


@pytest.mark.parametrize("policy", ScheduledTask.MisfirePolicy.values)
def test_what_came_due_since_the_backup_is_one_missed_row(admin: User, policy: str) -> None:
    task = factories.task(admin, misfire_policy=policy)
    moments = factories.fall_behind(task, 4, ago=timedelta(seconds=1))
    assert recovery.begin().tasks == 1
    (missed,) = task.executions.all()
    assert (missed.status, missed.scheduled_for) == ("missed", moments[-1])
    assert "4 runs" in missed.error_message
    assert "may have run" in missed.error_message
    due.open_everything("reconcile")
    task.refresh_from_db()
    assert task.executions.count() == 1
    assert task.next_scheduled_for == moments[-1] + timedelta(minutes=10)


def test_what_was_due_once_is_missed_and_nothing_is_left(admin: User) -> None:
    task = factories.task(
        admin, recurrence_type="once", recurrence_config={"run_at": "2100-01-01T00:00"}
    )
    at = timezone.now() - timedelta(hours=1)
    ScheduledTask.objects.filter(pk=task.pk).update(
        recurrence_config={"run_at": at.isoformat()}, next_scheduled_for=at, next_run_time=at
    )
    recovery.begin()
    task.refresh_from_db()
    (missed,) = task.executions.all()
    assert "1 run," in missed.error_message
    assert (task.next_run_time, task.status) == (None, "failed")


def test_what_is_due_later_stays_planned(admin: User) -> None:
    task = factories.task(admin)
    before = task.next_run_time
    assert recovery.begin().tasks == 0
    task.refresh_from_db()
    assert task.next_run_time == before


def test_what_waited_behind_another_execution_may_have_run(admin: User) -> None:
    task = factories.task(admin, overlap_policy="queue_one")
    queued = factories.execution(task, status="pending")
    assert recovery.begin().queued == 1
    queued.refresh_from_db()
    assert queued.status == "skipped"
    assert "may have run" in queued.error_message


def test_executions_open_and_their_runs_wait(admin: User, web_device: Device, signer: str) -> None:
    task = factories.task(admin, devices=[web_device], rollout={"abort_after_failures": 1})
    recovery.begin()
    moment = factories.make_due(task)
    due.open_all(task.pk, moment, "beat")
    execution = task.executions.get()
    rollout.advance(execution.pk)
    assert execution.runs.get().status == "pending"


ENDINGS: dict[str, Callable[[Execution, User], Any]] = {
    "expiry and grace": lambda execution, admin: (reconcile.expire(), reconcile.lose()),
    "cancel": cancelling.cancel,
    "abort": executions.abort,
    "superseded": lambda execution, admin: cancelling.supersede_waiting(
        factories.execution(execution.task)  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_ends_a_run_of_a_marked_device(
    admin: User, execution: Execution, ending: str
) -> None:
    runs = overdue(execution)
    recovery.begin()
    ENDINGS[ending](execution, admin)
    assert {name: status_of(run) for name, run in runs.items()} == {name: name for name in runs}


def overdue(execution: Execution) -> dict[str, DeviceRun]:
    """A run of this execution in each unfinished state, on devices of their own, long overdue."""
    long_ago = timezone.now() - timedelta(days=40)
    runs = {}
    for status in DeviceRun.UNENDED:
        on = factories.device(online=False)
        run = factories.run(execution, on, status=status, created_at=long_ago)
        times = {"not_after": long_ago} if status in ("queued", "claimed") else {}
        times |= {"deadline_at": long_ago} if status == "running" else {}
        DeviceRun.objects.filter(pk=run.pk).update(**times)
        runs[status] = run
    return runs


def test_an_abort_reaches_what_was_held_back_when_the_device_has_answered(
    admin: User, execution: Execution, web_device: Device, signer: str
) -> None:
    run = factories.run(execution, web_device)
    recovery.begin()
    executions.abort(execution, admin)
    assert status_of(run) == "pending"
    session = factories.come_online(web_device)
    ledger.recalled(session, ledger.recall(session), [], is_whole=True)
    rollout.advance(execution.pk)
    assert status_of(run) == "skipped"


@pytest.mark.parametrize("status", DeviceRun.UNENDED)
def test_without_an_answer_what_was_unfinished_is_lost(
    admin: User, execution: Execution, web_device: Device, status: str
) -> None:
    run = factories.run(execution, web_device, status=status)
    recovery.begin()
    newer = factories.run(factories.execution(factories.task(admin)), web_device)
    assert recovery.end(web_device) == recovery.Ended(devices=1, lost=1)
    assert (status_of(run), run.was_lost) == ("lost", True)
    assert "without an answer" in run.error_message
    assert status_of(newer) == "pending"
    web_device.refresh_from_db()
    assert not web_device.in_recovery


def test_it_ends_for_one_device_or_for_all(web_device: Device) -> None:
    factories.device()
    recovery.begin()
    recovery.end(web_device)
    with pytest.raises(StateConflict):
        recovery.end(web_device)
    assert recovery.status().marked == 1
    assert recovery.end() == recovery.Ended(devices=1, lost=0)
    assert not recovery.status().is_on


@pytest.mark.parametrize("leave", [fleet.revoke, fleet.delete])
@pytest.mark.parametrize("status", DeviceRun.UNENDED)
def test_a_device_that_leaves_takes_its_answer_with_it(
    admin: User, execution: Execution, web_device: Device, leave: Any, status: str
) -> None:
    run = factories.run(execution, web_device, status=status)
    recovery.begin()
    newer = factories.run(factories.execution(factories.task(admin)), web_device)
    leave(web_device, admin)
    assert (status_of(run), status_of(newer)) == ("lost", "skipped")
    assert not Device.objects.filter(pk=web_device.pk, in_recovery=True).exists()


def test_a_poll_grants_nothing_to_a_marked_device(execution: Execution, web_device: Device) -> None:
    factories.run(execution, web_device, status="claimed")
    session = factories.session_of(web_device)
    assert len(ledger.poll(session, {}).grants) == 1
    Device.objects.filter(pk=web_device.pk).update(in_recovery=True)
    assert ledger.poll(session, {}).grants == []
