"""Each step of reconcile, alone: what a lost hint left behind is done."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.utils import timezone

from devices.models import Device, DeviceGroup
from scheduling import reconcile, schedules
from scheduling.models import DeviceRun, Execution, ScheduledTask, ServiceHeartbeat
from scheduling.tests import factories


def step(name: str) -> int:
    """The step of this name does its work; how much it says there was."""
    (one,) = [one for one in reconcile.STEPS if one.__name__ == name]
    return one()


def status(run: DeviceRun) -> str:
    return DeviceRun.objects.get(pk=run.pk).status


def ago(**length: float) -> Any:
    return timezone.now() - timedelta(**length)


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


def test_it_opens_what_is_due(task: ScheduledTask) -> None:
    factories.make_due(task)
    assert step("open_due") == 1
    assert Execution.objects.get().opened_by == "reconcile"
    assert step("open_due") == 0


@pytest.mark.parametrize("before", ["queued", "claimed"])
def test_it_expires_what_did_not_start_in_time(execution: Execution, before: str) -> None:
    late = factories.run(execution, status=before, not_after=ago(seconds=1))
    in_time = factories.run(execution, status=before)
    started = factories.run(execution, status="running", not_after=ago(seconds=1))
    assert step("expire") == 1
    assert [status(run) for run in (late, in_time, started)] == ["expired", before, "running"]
    late.refresh_from_db()
    assert (late.error_message, late.started_at) == ("Not started within its time.", None)


def test_it_expires_what_was_never_released(execution: Execution) -> None:
    old, new = factories.run(execution), factories.run(execution)
    DeviceRun.objects.filter(pk=old.pk).update(created_at=ago(days=30, seconds=1))
    assert step("expire") == 1
    assert (status(old), status(new)) == ("expired", "pending")


def test_nothing_of_a_device_in_recovery_expires(execution: Execution, web_device: Device) -> None:
    run = factories.run(execution, web_device, status="queued", not_after=ago(seconds=1))
    Device.objects.filter(pk=web_device.pk).update(in_recovery=True)
    assert step("expire") == 0
    assert status(run) == "queued"


def test_much_expires_in_one_round(execution: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "AT_ONCE", 2)
    for _number in range(5):
        factories.run(execution, status="queued", not_after=ago(seconds=1))
    assert step("expire") == 5


@pytest.mark.parametrize("before", ["queued", "claimed"])
@pytest.mark.parametrize("loss", ["people", "account"])
def test_it_skips_what_its_user_may_not_start_any_more(
    operator: User, web_group: DeviceGroup, web_device: Device, before: str, loss: str
) -> None:
    task = factories.task(operator, devices=[web_device])
    waiting, running = (
        factories.run(factories.execution(task), web_device, status=one)
        for one in (before, "running")
    )
    assert step("skip_forbidden") == 0
    if loss == "people":
        web_group.people.clear()
    else:
        User.objects.filter(pk=operator.pk).update(is_active=False)
    assert step("skip_forbidden") == 1
    assert [status(run) for run in (waiting, running)] == ["skipped", "running"]
    waiting.refresh_from_db()
    assert "may not use the device any more" in waiting.error_message


def test_it_skips_what_a_round_released_while_its_device_was_revoked(
    execution: Execution, web_device: Device
) -> None:
    Device.objects.filter(pk=web_device.pk).update(revoked_at=timezone.now())
    released = factories.run(execution, web_device, status="queued")
    other = factories.run(execution, status="queued")
    assert step("skip_forbidden") == 1
    assert [status(run) for run in (released, other)] == ["skipped", "queued"]


def test_it_gives_up_a_day_after_the_deadline(execution: Execution) -> None:
    gone = factories.run(execution, status="running", deadline_at=ago(hours=24, seconds=1))
    hoped_for = factories.run(execution, status="running", deadline_at=ago(hours=23))
    assert step("lose") == 1
    assert (status(gone), status(hoped_for)) == ("lost", "running")
    gone.refresh_from_db()
    assert gone.was_lost
    assert "did not report" in gone.error_message


def test_it_releases_claims_of_sessions_that_are_gone(execution: Execution, admin: User) -> None:
    offline, fenced, live, fresh = (factories.device() for _number in range(4))
    runs = [
        factories.run(execution, on, status="claimed", claimed_at=ago(minutes=11))
        for on in (offline, fenced, live)
    ]
    runs.append(factories.run(execution, fresh, status="claimed"))
    for on in (offline, fresh):
        factories.go_offline(on)
    factories.come_online(fenced)
    assert step("release_claims") == 2
    assert [status(run) for run in runs] == ["queued", "queued", "claimed", "claimed"]
    assert DeviceRun.objects.get(pk=runs[0].pk).claim_session is None


def test_it_releases_the_claim_of_a_device_without_any_session(execution: Execution) -> None:
    device = factories.device()
    run = factories.run(execution, device, status="claimed", claimed_at=ago(minutes=11))
    Device.objects.filter(pk=device.pk).update(session=None)
    assert step("release_claims") == 1
    assert status(run) == "queued"


def test_it_advances_what_runs(admin: User, web_device: Device, signer: str) -> None:
    execution = schedules.execute(factories.by_hand(admin, devices=[web_device]), admin)
    assert step("advance") == 1
    assert status(execution.runs.get()) == "queued"
    factories.carry_out(execution.runs.get())
    step("advance")
    execution.refresh_from_db()
    assert execution.status == "success"


def test_every_execution_has_its_turn(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(reconcile, "AT_ONCE", 2)
    task = factories.task(admin, overlap_policy="allow")
    made = sorted(factories.execution(task).pk for _number in range(5))
    turn = reconcile.InTurn("test", Execution.objects.under_way, seen.append)
    assert [turn() for _number in range(4)] == [2, 2, 1, 2]
    assert seen == [*made, *made[:2]]


@pytest.mark.usefixtures("signer")
@pytest.mark.parametrize(
    ("run", "of"),
    [
        ({"attempt": 2, "not_before": ago(seconds=1)}, {}),
        ({"wave": 2}, {"wave_closed_at": ago(seconds=61)}),
    ],
)
def test_what_is_due_does_not_wait_for_its_turn(
    admin: User, monkeypatch: pytest.MonkeyPatch, run: dict[str, Any], of: dict[str, Any]
) -> None:
    monkeypatch.setattr(reconcile, "AT_ONCE", 2)
    task = factories.task(
        admin, overlap_policy="allow", rollout={"strategy": "rolling", "soak_seconds": 60}
    )
    for _number in range(5):
        away = factories.device(online=False)
        factories.run(factories.execution(task), away, status="queued", has_slot=False)
    due = factories.run(factories.execution(task, **of), **run)
    reconcile.round_of_all()
    assert status(due) == "queued"


@pytest.mark.usefixtures("signer")
@pytest.mark.parametrize(
    ("run", "of", "on"),
    [
        ({"not_before": ago(days=-1)}, {}, {}),
        ({"not_before": ago(seconds=1)}, {"rollout_paused_at": ago()}, {}),
        ({"not_before": ago(seconds=1), "wave": 2}, {}, {}),
        ({"not_before": ago(seconds=1)}, {}, {"in_recovery": True}),
        ({"wave": 2}, {"wave_closed_at": ago(seconds=59)}, {}),
        ({"wave": 2}, {"wave_closed_at": ago(days=2), "rollout_paused_at": ago()}, {}),
        ({}, {}, {}),
    ],
)
def test_nothing_else_is_due(
    admin: User, run: dict[str, Any], of: dict[str, Any], on: dict[str, Any]
) -> None:
    task = factories.task(admin, rollout={"strategy": "rolling", "soak_seconds": 86_400})
    factories.run(factories.execution(task, **of), factories.device(**on), **run)
    assert step("advance_what_is_due") == 0


@pytest.mark.parametrize("error", [ValueError("one that always fails"), OperationalError("gone")])
def test_one_that_always_fails_keeps_no_other_from_its_turn(
    admin: User, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(reconcile, "AT_ONCE", 2)
    task = factories.task(admin, overlap_policy="allow")
    first, *others = sorted(factories.execution(task).pk for _number in range(5))
    seen: list[Any] = []

    def take(pk: Any) -> None:
        if pk == first:
            raise error
        seen.append(pk)

    turn = reconcile.InTurn("test", Execution.objects.under_way, take)
    for _number in range(3):
        with suppress(OperationalError):
            turn()
    assert seen == others


def test_it_starts_what_is_queued_behind_an_ended_execution(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device])
    ahead = factories.execution(task)
    run = factories.run(ahead, web_device, status="running")
    queued = factories.execution(task, status="pending")
    step("release_queue")
    queued.refresh_from_db()
    assert queued.status == "pending"
    factories.ledger.results([factories.result_of(run)])
    step("release_queue")
    queued.refresh_from_db()
    assert (queued.status, queued.runs.count()) == ("running", 1)


def test_it_settles_tasks_that_still_say_running(admin: User) -> None:
    task = factories.task(admin)
    factories.execution(task, status="success")
    ScheduledTask.objects.filter(pk=task.pk).update(status="running")
    step("settle_tasks")
    task.refresh_from_db()
    assert (task.status, task.last_execution_status) == ("pending", "success")


def test_silent_devices_are_marked_offline(admin: User, web_device: Device) -> None:
    Device.objects.filter(pk=web_device.pk).update(last_seen_at=ago(seconds=61))
    heard_from = factories.device()
    assert step("sweep_presence") == 1
    web_device.refresh_from_db()
    heard_from.refresh_from_db()
    assert (web_device.is_online, heard_from.is_online) == (False, True)


def test_nobody_is_offline_just_after_a_web_process_started(web_device: Device) -> None:
    Device.objects.filter(pk=web_device.pk).update(last_seen_at=ago(seconds=61))
    ServiceHeartbeat.objects.create(
        kind="web", name="web-1:1", started_at=ago(seconds=0), seen_at=timezone.now()
    )
    assert step("sweep_presence") == 0
    ServiceHeartbeat.objects.update(started_at=ago(seconds=91))
    assert step("sweep_presence") == 1


def test_hubs_are_woken_only_for_what_they_can_grant(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="queued", has_slot=False)
    assert step("wake_hubs") == 0
    DeviceRun.objects.filter(pk=run.pk).update(has_slot=True)
    assert step("wake_hubs") == 1
    factories.go_offline(web_device)
    assert step("wake_hubs") == 0


def test_one_step_that_fails_leaves_the_others_theirs(
    task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> int:
        raise RuntimeError("a defect")

    monkeypatch.setattr(reconcile, "STEPS", (broken, reconcile.open_due))
    monkeypatch.setattr(connection, "close", lambda: None)
    factories.make_due(task)
    assert reconcile.round_of_all() == {"open_due": 1}


def test_a_round_alone_takes_an_occurrence_to_its_end(
    admin: User, web_device: Device, signer: str
) -> None:
    task = factories.task(admin, devices=[web_device])
    factories.make_due(task)
    reconcile.round_of_all()
    run = DeviceRun.objects.get()
    assert run.status == "queued"
    factories.carry_out(run)
    reconcile.round_of_all()
    assert Execution.objects.get().status == "success"
    task.refresh_from_db()
    assert (task.status, task.last_execution_status) == ("pending", "success")
