"""Retrying: attempts inside an execution by its `retry`, and a new execution by a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.errors import InvalidInput, NotAllowed, StateConflict
from devices.models import Device, DeviceGroup
from scheduling import (
    attempts,
    executions,
    opening,
    payloads,
    reconcile,
    release,
    rollout,
    schedules,
)
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories


def with_retry(admin: User, device: Device, **retry: Any) -> Execution:
    task = factories.by_hand(
        admin, devices=[device], retry={"max_attempts": 2, "backoff_seconds": 0, **retry}
    )
    return schedules.execute(task, admin)


def attempt(execution: Execution, outcome: str) -> DeviceRun:
    """Advances, lets the newest run end so, and advances again."""
    rollout.advance(execution.pk)
    run = execution.runs.get(is_last_attempt=True)
    factories.carry_out(run, outcome)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return run


@pytest.mark.parametrize("outcome", ["failed", "timed_out"])
def test_a_failure_is_tried_again_under_a_new_id(
    admin: User, web_device: Device, signer: str, outcome: str
) -> None:
    execution = with_retry(admin, web_device)
    first = attempt(execution, outcome)
    assert execution.status == "running"
    second = execution.runs.get(is_last_attempt=True)
    assert (second.attempt, second.device, second.pk != first.pk) == (2, web_device, True)
    attempt(execution, "succeeded")
    assert execution.status == "success"
    assert execution.result["devices_targeted"] == 1
    assert [run.attempt for run in execution.runs.order_by("id")] == [1, 2]


def test_when_the_attempts_are_used_up_it_has_failed(
    admin: User, web_device: Device, signer: str
) -> None:
    execution = with_retry(admin, web_device)
    attempt(execution, "failed")
    attempt(execution, "failed")
    assert (execution.status, execution.runs.count()) == ("failed", 2)


@pytest.mark.parametrize("outcome", ["succeeded", "unknown", "cancelled"])
def test_nothing_but_a_failure_is_tried_again(
    admin: User, web_device: Device, signer: str, outcome: str
) -> None:
    execution = with_retry(admin, web_device)
    rollout.advance(execution.pk)
    run = execution.runs.get()
    factories.ledger.claim([factories.session_of(web_device)])
    factories.ledger.start([(factories.session_of(web_device), run.pk)])
    DeviceRun.objects.filter(pk=run.pk).update(cancel_requested_at=timezone.now())
    factories.ledger.results([factories.result_of(run, outcome)])
    rollout.advance(execution.pk)
    assert execution.runs.count() == 1


@pytest.mark.parametrize(("code", "attempts"), [(75, 2), (1, 1)])
def test_only_the_named_exit_codes_are_tried_again(
    admin: User, web_device: Device, signer: str, code: int, attempts: int
) -> None:
    execution = with_retry(admin, web_device, on_exit_codes=[75])
    rollout.advance(execution.pk)
    run = execution.runs.get()
    factories.ledger.claim([factories.session_of(web_device)])
    factories.ledger.start([(factories.session_of(web_device), run.pk)])
    factories.ledger.results([factories.result_of(run, "failed", exit_code=code)])
    rollout.advance(execution.pk)
    assert execution.runs.count() == attempts


def test_the_next_attempt_waits_its_pause(admin: User, web_device: Device, signer: str) -> None:
    execution = with_retry(admin, web_device, backoff_seconds=60)
    first = attempt(execution, "failed")
    second = execution.runs.get(is_last_attempt=True)
    assert first.finished_at is not None
    assert second.not_before == first.finished_at + timedelta(seconds=60)
    assert second.status == "pending"
    DeviceRun.objects.filter(pk=second.pk).update(not_before=timezone.now())
    rollout.advance(execution.pk)
    second.refresh_from_db()
    assert second.status == "queued"


def test_a_run_that_was_lost_is_never_tried_again_by_itself(
    admin: User, web_device: Device, signer: str
) -> None:
    execution = with_retry(admin, web_device)
    rollout.advance(execution.pk)
    other = factories.run(execution, status="running")
    run = execution.runs.get(device=web_device)
    DeviceRun.objects.filter(pk=run.pk).move("lost", finished_at=timezone.now(), was_lost=True)
    factories.ledger.results([factories.result_of(run, "failed")])
    rollout.advance(execution.pk)
    assert set(execution.runs.values_list("pk", flat=True)) == {run.pk, other.pk}


ENDED = ("succeeded", "failed", "timed_out", "cancelled", "rejected", "expired", "skipped", "lost")


@pytest.fixture
def mixed(admin: User) -> Execution:
    """An ended execution with a device in every end state, each named after it."""
    execution = factories.execution(factories.task(admin))
    for status in ENDED:
        factories.run(execution, factories.device(status), status=status)
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert execution.status == "partial"
    return execution


def names(execution: Execution) -> set[str]:
    return set(execution.runs.values_list("device_name", flat=True))


def test_a_person_retries_what_did_not_succeed_the_lost_left_out(
    mixed: Execution, admin: User
) -> None:
    again = executions.retry(mixed, admin)
    assert names(again) == set(ENDED) - {"succeeded", "lost"}
    assert (again.trigger, again.caused_by, again.status) == ("retry", mixed, "running")
    assert (again.payload_sha256, again.definition) == (mixed.payload_sha256, mixed.definition)
    assert bytes(again.payload or b"") == bytes(mixed.payload or b"")


def test_a_retry_of_software_tells_its_devices_what_it_goes_on_from(
    admin: User, web_device: Device, signer: str
) -> None:
    execution = software_deployment(admin, web_device)
    first = order_of(execution)
    attempt(execution, "failed")
    again = executions.retry(execution, admin)
    assert again.definition == execution.definition
    assert order_of(again) == {**first, "resumes": [str(execution.pk)]}
    attempt(again, "failed")
    resumes = order_of(executions.retry(again, admin))["resumes"]
    assert resumes == [str(execution.pk), str(again.pk)]


def test_where_there_is_no_room_to_say_so_it_is_retried_from_the_start(
    admin: User, web_device: Device, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = software_deployment(admin, web_device)
    attempt(execution, "failed")
    payload = bytes(execution.payload or b"")
    monkeypatch.setattr(opening, "MAX_PAYLOAD_BYTES", len(payload) + 50)
    assert bytes(executions.retry(execution, admin).payload or b"") == payload


def software_deployment(admin: User, device: Device) -> Execution:
    source = {"os": "linux", "format": "apt", "package_name": "tool"}
    entry = factories.software(admin, sources=[source])
    payload = {"software_ids": [str(entry.pk)], "action": "install"}
    task = factories.by_hand(
        admin, devices=[device], task_type="software_deployment", task_payload=payload
    )
    return schedules.execute(task, admin)


def order_of(execution: Execution) -> dict[str, Any]:
    return dict(payloads.from_bytes(bytes(execution.payload or b"")))


def test_the_lost_are_retried_when_they_are_named(mixed: Execution, admin: User) -> None:
    assert names(executions.retry(mixed, admin, ["lost", "failed"])) == {"lost", "failed"}


@pytest.mark.parametrize("statuses", [[], ["running"], ["nonsense"], "failed", 1])
def test_anything_else_is_no_list_of_end_states(
    mixed: Execution, admin: User, statuses: Any
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        executions.retry(mixed, admin, statuses)
    assert list(refusal.value.errors) == ["statuses"]


def test_devices_that_are_gone_or_revoked_are_not_retried(mixed: Execution, admin: User) -> None:
    Device.objects.filter(name="failed").update(revoked_at=timezone.now())
    Device.objects.filter(name="expired").delete()
    assert names(executions.retry(mixed, admin)) == {
        "timed_out", "cancelled", "rejected", "skipped",
    }  # fmt: skip


def test_what_is_under_way_or_all_well_cannot_be_retried(admin: User) -> None:
    task = factories.task(admin)
    running, done = factories.execution(task), factories.execution(task, status="skipped")
    for execution in (running, done):
        with pytest.raises(StateConflict):
            executions.retry(execution, admin)


def test_who_may_not_use_a_device_may_not_retry(operator: User, web_group: DeviceGroup) -> None:
    execution = factories.execution(factories.task(operator, groups=[web_group]))
    factories.run(execution, web_group.devices.get(), status="failed")
    rollout.advance(execution.pk)
    web_group.people.clear()
    with pytest.raises(NotAllowed):
        executions.retry(execution, operator)


def test_the_history_of_a_deleted_task_can_be_retried(mixed: Execution, admin: User) -> None:
    assert mixed.task is not None
    schedules.delete(mixed.task, admin)
    again = executions.retry(mixed, admin)
    assert (again.task, again.task_name) == (None, "Disk space")


def test_what_somebody_asked_to_cancel_is_not_tried_again(
    admin: User, web_device: Device, signer: str
) -> None:
    execution = with_retry(admin, web_device)
    rollout.advance(execution.pk)
    run = execution.runs.get()
    session = factories.session_of(web_device)
    factories.ledger.claim([session])
    factories.ledger.start([(session, run.pk)])
    executions.cancel_run(run, admin)
    factories.ledger.results([factories.result_of(run, "failed")])
    rollout.advance(execution.pk)
    assert execution.runs.count() == 1


@pytest.mark.parametrize(("attempt_number", "seconds"), [(2, 30), (3, 90), (4, 270)])
def test_each_pause_is_the_one_before_times_the_multiplier(
    admin: User, web_device: Device, signer: str, attempt_number: int, seconds: int
) -> None:
    execution = with_retry(
        admin, web_device, max_attempts=4, backoff_seconds=30, backoff_multiplier=3
    )
    last = factories.run(execution, status="failed", attempt=attempt_number - 1)
    rollout.advance(execution.pk)
    following = execution.runs.get(device=last.device, is_last_attempt=True)
    assert following.attempt == attempt_number
    assert last.finished_at is not None
    assert following.not_before == last.finished_at + timedelta(seconds=seconds)


def test_a_pause_survives_a_restart_for_reconcile_looks_at_the_row(
    admin: User, web_device: Device, signer: str
) -> None:
    execution = with_retry(admin, web_device, backoff_seconds=60)
    attempt(execution, "failed")
    second = execution.runs.get(is_last_attempt=True)
    reconcile.round_of_all()
    second.refresh_from_db()
    assert second.status == "pending"
    DeviceRun.objects.filter(pk=second.pk).update(not_before=timezone.now())
    reconcile.round_of_all()
    second.refresh_from_db()
    assert second.status == "queued"


def test_many_failures_get_their_attempts_before_any_counts_as_used_up(
    admin: User, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "BATCH", 2)
    task = factories.task(
        admin,
        retry={"max_attempts": 2, "backoff_seconds": 0},
        rollout={"abort_after_failures": 1},
    )
    execution = factories.execution(task)
    for _number in range(5):
        factories.run(execution, status="failed")
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    assert execution.abort_requested_at is None
    assert execution.runs.filter(attempt=2).count() == 5


def test_a_result_that_comes_in_mid_round_is_still_tried_again(
    admin: User, web_device: Device, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = with_retry(admin, web_device)
    rollout.advance(execution.pk)
    run = execution.runs.get()
    take_back = release.take_back_slots

    def meanwhile(one: Execution) -> int:
        if execution.runs.unended().exists() and execution.runs.count() == 1:
            factories.carry_out(run, "failed")
        return int(take_back(one))

    monkeypatch.setattr(release, "take_back_slots", meanwhile)
    rollout.advance(execution.pk)
    assert sorted(execution.runs.values_list("attempt", flat=True)) == [1, 2]
