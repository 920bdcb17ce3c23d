from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import NotAllowed, StateConflict
from devices.models import Device, DeviceGroup
from scheduling import executions, rollout, schedules, waves
from scheduling.models import DeviceRun, Execution
from scheduling.options import Rollout
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")

SIZES = [
    ({"strategy": "parallel"}, 10, [10]),
    ({"strategy": "rolling", "batch_size": 3}, 10, [3, 3, 3, 1]),
    ({"strategy": "rolling", "batch_size": "30%"}, 10, [3, 3, 3, 1]),
    ({"strategy": "rolling", "batch_size": "1%"}, 3, [1, 1, 1]),
    ({"strategy": "canary", "canary_size": 1}, 10, [1, 9]),
    ({"strategy": "canary", "canary_size": "15%"}, 10, [2, 8]),
    ({"strategy": "blue_green"}, 5, [3, 2]),
    ({"strategy": "blue_green"}, 1, [1]),
]


def unsaved(number: int, **fields: Any) -> Device:
    return Device(name=f"device-{number:02}", **fields)


@pytest.mark.parametrize(("options", "total", "sizes"), SIZES)
def test_every_device_is_in_one_wave_of_the_right_size(
    options: dict[str, Any], total: int, sizes: list[int]
) -> None:
    devices = [unsaved(number, is_online=True) for number in range(total)]
    numbered = list(waves.assign(Rollout.parse(options), devices))
    found = [wave for _device, wave in numbered]
    assert [found.count(wave) for wave in sorted(set(found))] == sizes
    assert {device.pk for device, _wave in numbered} == {device.pk for device in devices}


def test_devices_online_fill_the_early_waves() -> None:
    devices = [unsaved(number, is_online=number == 7) for number in range(10)]
    first = next(waves.assign(Rollout.parse({"strategy": "canary", "canary_size": 1}), devices))
    assert (first[0].name, first[1]) == ("device-07", 1)


def begun(admin: User, number: int, **options: Any) -> Execution:
    devices = [factories.device(f"{place}") for place in range(number)]
    task = factories.by_hand(admin, devices=devices, rollout=options)
    execution = schedules.execute(task, admin)
    rollout.advance(execution.pk)
    return execution


def waves_of(execution: Execution, status: str) -> list[int]:
    return sorted(execution.runs.filter(status=status).values_list("wave", flat=True))


def end_wave(execution: Execution, outcome: str = "succeeded") -> Execution:
    """Every queued run ends so."""
    for run in execution.runs.filter(status="queued"):
        factories.carry_out(run, outcome)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return execution


def test_rolling_goes_batch_after_batch(admin: User) -> None:
    execution = begun(admin, 3, strategy="rolling", batch_size=1)
    for wave in (1, 2, 3):
        assert waves_of(execution, "queued") == [wave]
        end_wave(execution)
    assert execution.status == "success"


def test_a_failure_does_not_stop_a_rolling_rollout_by_itself(admin: User) -> None:
    execution = begun(admin, 2, strategy="rolling", batch_size=1)
    end_wave(execution, "failed")
    assert waves_of(execution, "queued") == [2]


def test_it_soaks_before_the_next_wave(admin: User) -> None:
    execution = begun(admin, 2, strategy="rolling", batch_size=1, soak_seconds=60)
    end_wave(execution)
    assert (waves_of(execution, "queued"), waves_of(execution, "pending")) == ([], [2])
    closed = timezone.now() - timedelta(seconds=61)
    Execution.objects.filter(pk=execution.pk).update(wave_closed_at=closed)
    rollout.advance(execution.pk)
    assert waves_of(execution, "queued") == [2]


def test_a_promotion_does_not_wait(admin: User) -> None:
    execution = begun(admin, 3, strategy="rolling", batch_size=1)
    executions.promote(execution, admin)
    rollout.advance(execution.pk)
    assert waves_of(execution, "queued") == [1, 2]
    executions.promote(execution, admin)
    rollout.advance(execution.pk)
    with pytest.raises(StateConflict):
        executions.promote(execution, admin)


@pytest.mark.parametrize("strategy", ["canary", "blue_green"])
def test_the_rest_follows_only_a_first_wave_that_succeeded(admin: User, strategy: str) -> None:
    good = begun(admin, 4, strategy=strategy, canary_size=1)
    end_wave(good)
    assert set(waves_of(good, "queued")) == {2}
    bad = begun(admin, 4, strategy=strategy, canary_size=1)
    end_wave(bad, "failed")
    assert set(waves_of(bad, "skipped")) == {2}
    assert bad.status == "failed"
    assert "too few devices of the first wave succeeded" in bad.error_message


def test_a_canary_with_nobody_online_waits_for_one_or_for_promote(admin: User) -> None:
    devices = [factories.device(online=False) for _number in range(3)]
    task = factories.by_hand(
        admin, devices=devices, rollout={"strategy": "canary", "canary_size": 1}
    )
    execution = schedules.execute(task, admin)
    rollout.advance(execution.pk)
    assert (waves_of(execution, "queued"), waves_of(execution, "pending")) == ([1], [2, 2])
    executions.promote(execution, admin)
    rollout.advance(execution.pk)
    assert waves_of(execution, "queued") == [1, 2, 2]


def test_a_device_offline_keeps_no_wave_open(admin: User) -> None:
    execution = begun(admin, 3, strategy="rolling", batch_size=2)
    away = execution.runs.filter(wave=1).first()
    assert away is not None
    assert away.device is not None
    factories.go_offline(away.device)
    rollout.advance(execution.pk)
    for run in execution.runs.filter(wave=1, has_slot=True):
        factories.carry_out(run)
    rollout.advance(execution.pk)
    assert 2 in waves_of(execution, "queued")
    assert DeviceRun.objects.get(pk=away.pk).status == "queued"


ABORTS = [(1, True), (2, False), ("25%", True), ("50%", False)]


@pytest.mark.parametrize(("limit", "aborts"), ABORTS)
def test_enough_failures_abort(admin: User, limit: int | str, aborts: bool) -> None:
    execution = begun(admin, 4, strategy="rolling", batch_size=1, abort_after_failures=limit)
    end_wave(execution, "failed")
    assert (execution.status == "failed") is aborts
    assert (waves_of(execution, "skipped") == [2, 3, 4]) is aborts
    if aborts:
        assert "1 devices failed, the limit is 1" in execution.error_message


def test_a_failure_with_an_attempt_left_aborts_nothing(admin: User) -> None:
    task = factories.by_hand(
        admin,
        devices=[factories.device() for _number in range(2)],
        rollout={"strategy": "rolling", "batch_size": 1, "abort_after_failures": 1},
        retry={"max_attempts": 2, "backoff_seconds": 0},
    )
    execution = schedules.execute(task, admin)
    rollout.advance(execution.pk)
    end_wave(execution, "failed")
    assert (execution.status, execution.abort_requested_at) == ("running", None)
    end_wave(execution, "failed")
    assert execution.status == "failed"


def test_an_abort_by_hand_lets_the_started_ones_finish(admin: User) -> None:
    execution = begun(admin, 3, strategy="rolling", batch_size=1)
    run = execution.runs.get(status="queued")
    assert run.device is not None
    session = factories.session_of(run.device)
    factories.ledger.claim([session])
    factories.ledger.start([(session, run.pk)])
    executions.abort(execution, admin)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert (execution.status, waves_of(execution, "skipped")) == ("running", [2, 3])
    factories.ledger.results([factories.result_of(run)])
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert (execution.status, execution.error_message) == (
        "success",
        "The rollout was aborted by admin.",
    )


def test_a_paused_rollout_releases_nothing_and_takes_queued_slots_back(admin: User) -> None:
    execution = begun(admin, 2, strategy="rolling", batch_size=1)
    executions.pause_rollout(execution, admin)
    rollout.advance(execution.pk)
    assert not execution.runs.filter(has_slot=True).exists()
    with pytest.raises(StateConflict):
        executions.pause_rollout(execution, admin)
    executions.resume_rollout(execution, admin)
    rollout.advance(execution.pk)
    assert execution.runs.filter(has_slot=True).count() == 1
    with pytest.raises(StateConflict):
        executions.resume_rollout(execution, admin)


def test_who_has_lost_a_device_may_stop_what_waits_for_it_and_not_let_it_go(
    operator: User, web_group: DeviceGroup
) -> None:
    web_group.devices.set([factories.device() for _number in range(3)])
    options = {"strategy": "rolling", "batch_size": 1}
    task = factories.by_hand(operator, groups=[web_group], rollout=options)
    execution = schedules.execute(task, operator)
    rollout.advance(execution.pk)
    last = execution.runs.get(wave=3)
    web_group.devices.remove(last.device)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        executions.promote(execution, operator)
    executions.pause_rollout(execution, operator)
    with pytest.raises(NotAllowed):
        executions.resume_rollout(execution, operator)
    executions.cancel_run(last, operator)
    executions.resume_rollout(execution, operator)
    executions.promote(execution, operator)
    executions.abort(execution, operator)


@pytest.mark.parametrize("verb", ["pause_rollout", "resume_rollout", "promote", "abort"])
def test_what_has_ended_cannot_be_steered(admin: User, verb: str) -> None:
    execution = factories.execution(factories.task(admin), status="success")
    with pytest.raises(StateConflict):
        getattr(executions, verb)(execution, admin)


def test_an_execution_ends_only_when_every_run_has(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    factories.run(execution, status="succeeded")
    open_run = factories.run(execution, status="running")
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert (execution.status, execution.completed_at) == ("running", None)
    factories.ledger.results([factories.result_of(open_run, "failed")])
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert execution.status == "partial"
    assert execution.completed_at is not None
    assert (execution.result["devices_succeeded"], execution.result["devices_failed"]) == (1, 1)


def test_late_evidence_rewrites_the_judgement_and_opens_nothing(admin: User) -> None:
    task = factories.task(admin, retry={"max_attempts": 3, "backoff_seconds": 0})
    execution = factories.execution(task)
    runs = [factories.run(execution, status="lost") for _number in range(2)]
    rollout.advance(execution.pk)
    expected = ["partial", "partial"]
    for run, outcome, status in zip(runs, ("succeeded", "failed"), expected, strict=True):
        factories.ledger.results([factories.result_of(run, outcome)])
        rollout.advance(execution.pk)
        execution.refresh_from_db()
        assert execution.status == status
    assert execution.result["counts"]["lost"] == 0
    assert execution.runs.count() == 2


def test_evidence_leaves_a_cancelled_execution_cancelled(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    run = factories.run(execution, status="lost")
    factories.run(execution)
    executions.cancel(execution, admin)
    rollout.advance(execution.pk)
    factories.ledger.results([factories.result_of(run)])
    execution.refresh_from_db()
    assert (execution.status, execution.result["devices_succeeded"]) == ("cancelled", 1)


def test_an_execution_that_cannot_be_advanced_keeps_no_other_from_it(
    admin: User, web_device: Device
) -> None:
    bad, good = (
        schedules.execute(factories.by_hand(admin, devices=[web_device]), admin) for _n in range(2)
    )
    Execution.objects.filter(pk=bad.pk).update(definition={})
    rollout.advance_all([bad.pk, good.pk])
    assert [run.status for run in good.runs.all()] == ["queued"]
    assert [run.status for run in bad.runs.all()] == ["pending"]
