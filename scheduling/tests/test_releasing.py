"""pending → queued: who is released, who is not, and what is signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices import keys
from devices.agent import protocol
from devices.models import Device, DeviceGroup
from scheduling import opening, release, rollout, schedules
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")


def released(user: User, devices: list[Device], **changes: Any) -> Execution:
    task = factories.by_hand(user, devices=devices, **changes)
    execution = schedules.execute(task, user)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return execution


def by_name(execution: Execution) -> dict[str, DeviceRun]:
    return {run.device_name: run for run in execution.runs.all()}


def test_the_terms_say_what_runs_and_their_signature_verifies(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device], timeout_seconds=90)
    moment = factories.make_due(task)
    execution = opening.open_due(task.pk, None, "beat")
    assert execution is not None
    rollout.advance(execution.pk)
    run = execution.runs.get()
    assert run.terms is not None
    assert run.signature is not None
    message = protocol.run_bytes(bytes(run.terms))
    key = keys.current_public_key()
    assert protocol.verify(key, bytes(run.signature), message)
    assert not protocol.verify(key, bytes(run.signature), message + b" ")
    terms = protocol.parse_terms(bytes(run.terms))
    ids = (terms.run, terms.device, terms.execution, terms.task, terms.server_id)
    assert ids == tuple(
        str(one) for one in (run.pk, web_device.pk, execution.pk, task.pk, keys.server_id())
    )
    assert (terms.kind, terms.attempt, terms.timeout_seconds) == ("command", 1, 90)
    assert terms.scheduled_for == moment
    assert terms.payload_sha256 == hashlib.sha256(bytes(execution.payload or b"")).hexdigest()
    assert run.key_id == protocol.key_id(key)


def test_a_released_run_expires_after_its_time(admin: User, web_device: Device) -> None:
    run = released(admin, [web_device], expires_after_seconds=600).runs.get()
    assert run.queued_at is not None
    assert run.not_after == run.queued_at + timedelta(seconds=600)
    assert run.terms is not None
    terms = protocol.parse_terms(bytes(run.terms))
    assert (terms.not_before, terms.not_after) == (run.queued_at, run.not_after)


POLICIES = [
    ("queue", "queued", ""),
    ("skip", "skipped", "The device was offline at release."),
    ("fail", "expired", "The device was offline at release."),
]


@pytest.mark.parametrize(("policy", "status", "reason"), POLICIES)
def test_an_offline_device_is_dealt_with_as_the_policy_says(
    admin: User, web_device: Device, policy: str, status: str, reason: str
) -> None:
    away = factories.device("away", online=False)
    runs = by_name(released(admin, [web_device, away], offline_policy=policy))
    assert (runs["away"].status, runs["away"].error_message) == (status, reason)
    assert runs["away"].has_slot is False
    assert (runs["web-1"].status, runs["web-1"].has_slot) == ("queued", True)


def test_an_execution_whose_devices_were_all_skipped_says_why(admin: User) -> None:
    execution = released(admin, [factories.device(online=False)], offline_policy="skip")
    assert execution.status == "skipped"
    assert execution.error_message == "The device was offline at release."


def test_rights_are_looked_at_again_at_release(
    operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    kept = factories.device("kept")
    factories.group(devices=[kept], people=[operator])
    task = factories.by_hand(operator, devices=[web_device, kept])
    execution = schedules.execute(task, operator)
    web_group.people.clear()
    rollout.advance(execution.pk)
    runs = by_name(execution)
    assert (runs["web-1"].status, runs["kept"].status) == ("skipped", "queued")
    assert "may not use the device any more" in runs["web-1"].error_message


def test_of_somebody_deactivated_nothing_is_released(operator: User, task: Any) -> None:
    execution = schedules.execute(task, operator)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert execution.status == "skipped"


def test_a_device_that_is_revoked_or_deleted_meanwhile_is_skipped(admin: User) -> None:
    revoked, deleted = factories.device("revoked"), factories.device("deleted")
    task = factories.by_hand(admin, devices=[revoked, deleted])
    execution = schedules.execute(task, admin)
    Device.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    Device.objects.filter(pk=deleted.pk).delete()
    rollout.advance(execution.pk)
    assert {run.status for run in execution.runs.all()} == {"skipped"}
    assert {run.error_message for run in execution.runs.all()} == {"The device is gone."}


def test_a_full_queue_skips(
    admin: User, web_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "QUEUED_PER_DEVICE", 2)
    for _number in range(2):
        other = factories.execution(factories.task(admin))
        factories.run(other, web_device, status="queued")
    run = released(admin, [web_device]).runs.get()
    assert (run.status, run.error_message) == ("skipped", "2 runs wait for the device already.")


def test_a_device_in_recovery_waits(admin: User, web_device: Device) -> None:
    Device.objects.filter(pk=web_device.pk).update(in_recovery=True)
    assert released(admin, [web_device]).runs.get().status == "pending"


def test_no_more_are_on_their_way_than_there_are_slots(admin: User) -> None:
    devices = [factories.device() for _number in range(5)]
    away = factories.device("away", online=False)
    execution = released(admin, [*devices, away], rollout={"max_concurrent": 2})
    states = sorted(run.status for run in execution.runs.exclude(device=away))
    assert states == ["pending"] * 3 + ["queued"] * 2
    # Waiting for an offline device takes no slot.
    assert execution.runs.get(device=away).status == "queued"
    factories.carry_out(execution.runs.filter(status="queued", has_slot=True)[0])
    rollout.advance(execution.pk)
    assert execution.runs.filter(status="queued", has_slot=True).count() == 2


def test_those_who_are_refused_leave_their_places_to_others_at_once(
    operator: User, web_group: DeviceGroup
) -> None:
    web_group.devices.set([factories.device() for _number in range(5)])
    task = factories.by_hand(operator, groups=[web_group], rollout={"max_concurrent": 1})
    execution = schedules.execute(task, operator)
    *_lost, kept = execution.runs.order_by("id")
    assert kept.device is not None
    web_group.devices.set([kept.device])
    rollout.advance(execution.pk)
    kept.refresh_from_db()
    assert kept.status == "queued"
    assert execution.runs.filter(status="skipped").count() == 4


def test_a_device_that_comes_back_gets_a_slot_as_one_is_free(admin: User) -> None:
    here, away = factories.device("here"), factories.device("away", online=False)
    execution = released(admin, [here, away], rollout={"max_concurrent": 1})
    factories.come_online(away)
    rollout.advance(execution.pk)
    assert not by_name(execution)["away"].has_slot
    factories.carry_out(by_name(execution)["here"])
    rollout.advance(execution.pk)
    assert by_name(execution)["away"].has_slot


def test_a_device_that_goes_away_gives_its_slot_back(admin: User) -> None:
    first, second = factories.device("first"), factories.device("second")
    execution = released(admin, [first, second], rollout={"max_concurrent": 1})
    held = execution.runs.get(has_slot=True)
    assert held.device is not None
    factories.go_offline(held.device)
    rollout.advance(execution.pk)
    held.refresh_from_db()
    assert (held.status, held.has_slot) == ("queued", False)
    assert execution.runs.filter(has_slot=True).exclude(pk=held.pk).count() == 1


def test_a_run_past_its_deadline_holds_its_slot_no_longer(admin: User) -> None:
    devices = [factories.device() for _number in range(2)]
    execution = released(admin, devices, rollout={"max_concurrent": 1})
    stuck = execution.runs.get(has_slot=True)
    past = timezone.now() - timedelta(seconds=1)
    DeviceRun.objects.filter(pk=stuck.pk).update(status="claimed")
    DeviceRun.objects.filter(pk=stuck.pk).update(status="running", deadline_at=past)
    rollout.advance(execution.pk)
    assert execution.runs.filter(status="queued", has_slot=True).count() == 1


def test_advancing_again_changes_nothing(admin: User, web_device: Device) -> None:
    execution = released(admin, [web_device])
    before = execution.runs.values().get()
    rollout.advance(execution.pk)
    assert execution.runs.values().get() == before


def test_a_fleet_is_released_batch_by_batch(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "BATCH", 3)
    devices = [factories.device(online=False) for _number in range(10)]
    execution = released(admin, devices)
    assert execution.runs.filter(status="queued").count() == 10


def test_the_queries_of_a_release_do_not_grow_with_the_devices(
    admin: User, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    devices = [factories.device() for _number in range(40)]
    execution = schedules.execute(factories.by_hand(admin, devices=devices), admin)
    with django_assert_max_num_queries(50):
        rollout.advance(execution.pk)
    assert execution.runs.filter(status="queued").count() == 40
