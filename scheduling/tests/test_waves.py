"""When a wave opens, when it is closed, and what becomes of a rollout whose first wave fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import StateConflict
from devices.models import Device
from scheduling import executions, ledger, reconcile, rollout, schedules, steering
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")
PAST = timedelta(seconds=1)


def begun(admin: User, devices: list[Device], **options: Any) -> Execution:
    task = factories.by_hand(admin, devices=devices, rollout=options)
    return moved_on(schedules.execute(task, admin))


def some(number: int, *, online: bool = True) -> list[Device]:
    return [factories.device(online=online) for _number in range(number)]


def moved_on(execution: Execution) -> Execution:
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return execution


def carry_out(execution: Execution, outcome: str = "succeeded") -> Execution:
    """What is released to devices online ends so."""
    for run in execution.runs.filter(status="queued", has_slot=True):
        factories.carry_out(run, outcome)
    return moved_on(execution)


def released(execution: Execution) -> list[int]:
    return sorted(execution.runs.filter(status="queued").values_list("wave", flat=True))


def wave_of(execution: Execution, status: str) -> set[int]:
    return set(execution.runs.filter(status=status).values_list("wave", flat=True))


def test_waves_of_devices_away_follow_one_another_at_once(admin: User) -> None:
    devices = some(4, online=False)
    execution = begun(admin, devices, strategy="rolling", batch_size=1)
    assert released(execution) == [1, 2, 3, 4]


def test_very_many_small_waves_are_opened_in_several_goes(
    admin: User, monkeypatch: pytest.MonkeyPatch, sent: Any, after_commit: Any
) -> None:
    monkeypatch.setattr(rollout, "MOST_ROUNDS", 2)
    execution = begun(admin, some(4, online=False), strategy="rolling", batch_size=1)
    assert released(execution) == [1, 2]
    with after_commit():
        moved_on(execution)
    assert released(execution) == [1, 2, 3, 4]
    assert ("scheduling.tasks.advance", [[str(execution.pk)]]) in sent


def test_a_wave_with_nothing_left_to_start_is_passed_over(admin: User) -> None:
    execution = begun(admin, some(4), strategy="rolling", batch_size=1, soak_seconds=60)
    executions.cancel(execution, admin, wave=2)
    carry_out(execution)
    soaked = timezone.now() - timedelta(minutes=2)
    Execution.objects.filter(pk=execution.pk).update(wave_closed_at=soaked)
    assert moved_on(execution).open_wave == 3
    executions.cancel(execution, admin, wave=3)
    executions.promote(execution, admin)
    assert moved_on(execution).open_wave == 4


def test_a_wave_is_watched_anew_after_a_device_that_came_back(admin: User) -> None:
    here, away = factories.device("here"), factories.device("away", online=False)
    options = {"strategy": "canary", "canary_size": 2, "soak_seconds": 60}
    execution = begun(admin, [here, away, *some(1, online=False)], **options)
    canary = set(execution.runs.filter(wave=1).values_list("device_name", flat=True))
    carry_out(execution)
    assert execution.wave_closed_at is not None
    late = execution.runs.get(wave=1, status="queued")
    assert late.device is not None
    assert late.device_name in canary
    factories.come_online(late.device)
    soaked = timezone.now() - timedelta(minutes=2)
    Execution.objects.filter(pk=execution.pk).update(wave_closed_at=soaked)
    assert moved_on(execution).wave_closed_at is None
    carry_out(execution)
    assert execution.wave_closed_at is not None
    assert execution.wave_closed_at > soaked
    assert wave_of(execution, "pending") == {2}


def test_a_soak_is_a_time_in_the_database_that_reconcile_looks_at(admin: User) -> None:
    execution = begun(admin, some(2), strategy="rolling", batch_size=1, soak_seconds=60)
    carry_out(execution)
    reconcile.round_of_all()
    assert released(execution) == []
    soaked = timezone.now() - timedelta(seconds=61)
    Execution.objects.filter(pk=execution.pk).update(wave_closed_at=soaked)
    reconcile.round_of_all()
    assert released(execution) == [2]


def paused_in_the_first_wave(execution: Execution, user: User) -> DeviceRun:
    """Pauses the rollout while the one run of that wave is at work."""
    run = execution.runs.get(status="queued")
    assert run.device is not None
    session = factories.session_of(run.device)
    ledger.claim([session])
    ledger.start([(session, run.pk)])
    executions.pause_rollout(execution, user)
    return run


def test_a_wave_that_ends_while_the_rollout_is_paused_is_watched_from_then_on(admin: User) -> None:
    execution = begun(admin, some(2), strategy="rolling", batch_size=1, soak_seconds=60)
    run = paused_in_the_first_wave(execution, admin)
    assert moved_on(execution).wave_closed_at is None
    ledger.results([factories.result_of(run)])
    closed_at = moved_on(execution).wave_closed_at
    assert closed_at is not None
    soaked = closed_at - timedelta(seconds=61)
    Execution.objects.filter(pk=execution.pk).update(wave_closed_at=soaked)
    assert (moved_on(execution).wave_closed_at, released(execution)) == (soaked, [])
    executions.resume_rollout(execution, admin)
    moved_on(execution)
    assert released(execution) == [2]


def test_a_first_wave_that_fails_while_the_rollout_is_paused_is_judged_when_it_goes_on(
    admin: User,
) -> None:
    execution = begun(admin, some(2), strategy="canary", canary_size=1)
    run = paused_in_the_first_wave(execution, admin)
    ledger.results([factories.result_of(run, "failed")])
    assert moved_on(execution).abort_requested_at is None
    executions.resume_rollout(execution, admin)
    assert moved_on(execution).status == "failed"


@pytest.mark.parametrize("strategy", ["canary", "blue_green"])
@pytest.mark.parametrize("threshold", [0, 100])
def test_where_nobody_of_the_first_wave_succeeded_the_rest_does_not_follow(
    admin: User, strategy: str, threshold: int
) -> None:
    options = {"strategy": strategy, "canary_size": 1, "success_threshold_percent": threshold}
    execution = begun(admin, some(2), **options)
    carry_out(execution, "failed")
    assert wave_of(execution, "skipped") == {2}
    assert execution.has_ended


@pytest.mark.parametrize(("threshold", "aborts"), [(50, False), (51, True)])
def test_the_first_wave_has_to_reach_the_threshold_whatever_the_abort_rule_says(
    admin: User, threshold: int, aborts: bool
) -> None:
    options = {"strategy": "blue_green", "success_threshold_percent": threshold}
    execution = begun(admin, some(4), **options, abort_after_failures=4)
    first, second = execution.runs.filter(status="queued")
    factories.carry_out(first, "failed")
    moved_on(execution)
    assert execution.abort_requested_at is None  # the other has not ended
    factories.carry_out(second)
    moved_on(execution)
    assert (execution.abort_requested_at is not None) is aborts
    assert wave_of(execution, "skipped" if aborts else "queued") == {2}


def test_a_canary_that_expires_aborts(admin: User) -> None:
    execution = begun(admin, some(3, online=False), strategy="canary", canary_size=1)
    execution.runs.filter(status="queued").update(not_after=timezone.now() - PAST)
    reconcile.expire()
    moved_on(execution)
    assert wave_of(execution, "skipped") == {2}
    assert (execution.status, execution.result["counts"]["expired"]) == ("failed", 1)


def test_a_canary_nobody_of_which_may_run_aborts(admin: User) -> None:
    execution = begun(admin, some(3), strategy="canary", canary_size=1)
    executions.cancel(execution, admin, wave=1)
    moved_on(execution)
    assert wave_of(execution, "skipped") == {2}
    assert "no device of the first wave succeeded" in execution.error_message


def test_a_canary_waits_for_its_device_to_come_back(admin: User) -> None:
    devices = some(3, online=False)
    execution = begun(admin, devices, strategy="canary", canary_size=1)
    canary = execution.runs.get(wave=1)
    assert canary.device is not None
    factories.come_online(canary.device)
    moved_on(execution)
    carry_out(execution)
    assert wave_of(execution, "queued") == {2}


def test_a_run_past_its_deadline_keeps_no_wave_open_and_counts_as_failed(admin: User) -> None:
    options = {"strategy": "rolling", "batch_size": 1, "abort_after_failures": 2}
    execution = begun(admin, some(3), **options)
    for wave in (1, 2):
        run = execution.runs.get(wave=wave)
        DeviceRun.objects.filter(pk=run.pk).update(status="claimed")
        late = timezone.now() - PAST
        DeviceRun.objects.filter(pk=run.pk).update(status="running", deadline_at=late)
        moved_on(execution)
    assert execution.abort_requested_at is not None
    assert (execution.status, wave_of(execution, "skipped")) == ("running", {3})


def test_a_promotion_before_the_first_release_opens_the_second_wave_as_well(admin: User) -> None:
    task = factories.by_hand(
        admin, devices=some(3), rollout={"strategy": "rolling", "batch_size": 1}
    )
    execution = schedules.execute(task, admin)
    assert steering.possible(execution).promote
    executions.promote(execution, admin)
    assert released(moved_on(execution)) == [1, 2]


def test_a_rollout_of_one_wave_has_none_to_promote(admin: User) -> None:
    execution = schedules.execute(factories.by_hand(admin, devices=some(2)), admin)
    assert not steering.possible(execution).promote
    with pytest.raises(StateConflict):
        executions.promote(execution, admin)


def test_a_promotion_while_paused_releases_nothing_before_it_is_resumed(admin: User) -> None:
    execution = begun(admin, some(2), strategy="rolling", batch_size=1)
    executions.pause_rollout(execution, admin)
    executions.promote(execution, admin)
    moved_on(execution)
    assert wave_of(execution, "pending") == {2}
    executions.resume_rollout(execution, admin)
    assert released(moved_on(execution)) == [1, 2]


def test_nothing_is_left_to_pause_or_abort_once_all_have_started(admin: User) -> None:
    execution = begun(admin, some(1))
    run = execution.runs.get()
    assert run.device is not None
    session = factories.session_of(run.device)
    ledger.claim([session])
    ledger.start([(session, run.pk)])
    for verb in (executions.pause_rollout, executions.abort):
        with pytest.raises(StateConflict) as refusal:
            verb(execution, admin)
        assert str(refusal.value) == "Nothing is waiting to start."


def test_what_an_abort_could_not_end_in_recovery_is_skipped_afterwards(admin: User) -> None:
    execution = begun(admin, some(2), strategy="rolling", batch_size=1)
    held = execution.runs.get(wave=2)
    Device.objects.filter(runs=held).update(in_recovery=True)
    executions.abort(execution, admin)
    moved_on(execution)
    Device.objects.filter(runs=held).update(in_recovery=False)
    moved_on(execution)
    held.refresh_from_db()
    assert (held.status, execution.status) == ("skipped", "skipped")
