"""Waiting for an offline device holds nothing up, and a slot is for who can use it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.models import Device
from scheduling import executions, progress, reconcile, release, rollout, schedules
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")


def released(user: User, devices: list[Device], **changes: Any) -> Execution:
    execution = schedules.execute(factories.by_hand(user, devices=devices, **changes), user)
    return advanced(execution)


def advanced(execution: Execution) -> Execution:
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return execution


def on(execution: Execution, device: Device) -> DeviceRun:
    return execution.runs.get(device=device)


@pytest.mark.parametrize(
    ("policy", "becomes"), [("queue", "queued"), ("fail", "queued"), ("skip", "skipped")]
)
def test_a_device_that_goes_away_before_its_grant(
    admin: User, web_device: Device, policy: str, becomes: str
) -> None:
    other = factories.device()
    execution = released(admin, [web_device, other], offline_policy=policy)
    factories.go_offline(web_device)
    advanced(execution)
    run = on(execution, web_device)
    assert (run.status, on(execution, other).status) == (becomes, "queued")
    assert run.has_slot == (becomes == "skipped")


def test_a_claim_is_not_skipped_before_its_session_is_given_up(
    admin: User, web_device: Device
) -> None:
    execution = released(admin, [web_device], offline_policy="skip")
    factories.ledger.claim([factories.session_of(web_device)])
    factories.go_offline(web_device)
    assert on(advanced(execution), web_device).status == "claimed"
    execution.runs.update(claimed_at=timezone.now() - timedelta(minutes=11))
    assert reconcile.release_claims() == 1
    assert on(advanced(execution), web_device).status == "skipped"


def test_a_claim_of_a_device_away_keeps_its_slot_until_it_is_given_up(
    admin: User, web_device: Device
) -> None:
    execution = released(admin, [web_device, factories.device()], rollout={"max_concurrent": 1})
    (claimed,) = execution.runs.filter(has_slot=True).select_related("device")
    (other,) = execution.runs.filter(has_slot=False)
    assert claimed.device is not None
    factories.ledger.claim([factories.session_of(claimed.device)])
    factories.go_offline(claimed.device)
    advanced(execution)
    assert execution.runs.get(pk=other.pk).status == "pending"
    execution.runs.filter(pk=claimed.pk).update(claimed_at=timezone.now() - timedelta(minutes=11))
    reconcile.release_claims()
    advanced(execution)
    assert execution.runs.get(pk=other.pk).has_slot
    assert not execution.runs.get(pk=claimed.pk).has_slot


def test_a_rollout_that_is_resumed_gives_the_slots_again(admin: User, web_device: Device) -> None:
    execution = released(admin, [web_device])
    executions.pause_rollout(execution, admin)
    assert not on(advanced(execution), web_device).has_slot
    executions.resume_rollout(execution, admin)
    assert on(advanced(execution), web_device).has_slot


def test_what_waits_for_a_device_is_no_failure_until_it_expires(
    admin: User, web_device: Device
) -> None:
    away = factories.device(online=False)
    execution = released(
        admin,
        [web_device, away],
        rollout={"strategy": "rolling", "batch_size": 1, "abort_after_failures": 1},
    )
    for run in execution.runs.filter(has_slot=True):
        factories.carry_out(run)
    advanced(execution)
    assert (execution.status, execution.abort_requested_at) == ("running", None)
    execution.runs.filter(device=away).update(not_after=timezone.now() - timedelta(seconds=1))
    reconcile.expire()
    advanced(execution)
    assert execution.abort_requested_at is not None


def test_what_started_and_is_away_counts_until_its_deadline_then_as_failed(
    admin: User, web_device: Device
) -> None:
    execution = released(admin, [web_device], rollout={"abort_after_failures": 1})
    run = on(execution, web_device)
    session = factories.session_of(web_device)
    factories.ledger.claim([session])
    factories.ledger.start([(session, run.pk)])
    factories.go_offline(web_device)
    advanced(execution)
    assert (release.used_slots(execution), execution.abort_requested_at) == (1, None)
    assert progress.under_way(execution.task_id) == [execution]
    execution.runs.update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert release.used_slots(execution) == 0
    assert progress.under_way(execution.task_id) == []
    assert advanced(execution).abort_requested_at is not None


def test_what_started_and_is_away_holds_up_its_own_device_alone(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device])
    gone = factories.run(factories.execution(task), web_device, status="running")
    DeviceRun.objects.filter(pk=gone.pk).update(deadline_at=timezone.now() - timedelta(hours=1))
    waiting = factories.run(factories.execution(task), web_device, status="queued")
    session = factories.session_of(web_device)
    assert factories.ledger.claim([session]) == []
    DeviceRun.objects.filter(pk=gone.pk).update(
        deadline_at=timezone.now() - timedelta(hours=24, seconds=1)
    )
    reconcile.lose()
    assert [grant.run for grant in factories.ledger.claim([session])] == [waiting.pk]


LIMITS = {
    "queued for a device": (release.QUEUED_PER_DEVICE, 1_000),
    "claim lease": (reconcile.CLAIM_LEASE, timedelta(minutes=10)),
    "grace past the deadline": (reconcile.GRACE_TO_LOST, timedelta(hours=24)),
    "never released": (reconcile.NEVER_RELEASED, timedelta(days=30)),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_the_limits_are_those_of_the_protocol(limit: str) -> None:
    ours, promised = LIMITS[limit]
    assert ours == promised


def test_four_runs_at_once_on_a_device_by_default(settings: Any) -> None:
    assert settings.DEPLOYX_RUNS_PER_DEVICE == 4
