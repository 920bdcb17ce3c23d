"""Transactional rollouts: who is rolled back, when, and what a rollback is."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import InvalidInput, StateConflict
from devices import keys
from devices.agent import kinds, protocol
from scheduling import (
    executions,
    ledger,
    opening,
    reconcile,
    release,
    rollbacks,
    rollout,
    schedules,
    steering,
)
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories

pytestmark = pytest.mark.usefixtures("signer")

PAYLOAD = {"command": "up", "rollback_command": "down", "environment": {"A": "1"}}


def begun(admin: User, number: int = 3, **changes: Any) -> Execution:
    devices = [factories.device(f"{place}") for place in range(number)]
    options = {"strategy": "transactional", **changes.pop("rollout", {})}
    task = factories.by_hand(
        admin, devices=devices, rollout=options, task_payload=PAYLOAD, **changes
    )
    execution = schedules.execute(task, admin)
    rollout.advance(execution.pk)
    return execution


def moved_on(execution: Execution) -> Execution:
    rollout.advance(execution.pk)
    execution.refresh_from_db()
    return execution


def run_of(execution: Execution, name: str) -> DeviceRun:
    return execution.runs.get(device_name=name, rolls_back=None, is_last_attempt=True)


def start(run: DeviceRun) -> DeviceRun:
    assert run.device is not None
    session = factories.session_of(run.device)
    ledger.claim([session])
    ledger.start([(session, run.pk)])
    run.refresh_from_db()
    assert run.status == "running"
    return run


def end(execution: Execution, **outcomes: str) -> Execution:
    """Lets the runs of these devices ("d0" is the one named "0") end so, and moves on."""
    for name, outcome in outcomes.items():
        run = run_of(execution, name.removeprefix("d"))
        if run.status != "running":
            start(run)
        ledger.results([factories.result_of(run, outcome)])
    return moved_on(execution)


def undone(execution: Execution) -> set[str]:
    rollbacks = execution.runs.filter(rolls_back__isnull=False)
    return set(rollbacks.values_list("device_name", flat=True))


def undo(execution: Execution, outcome: str = "succeeded") -> Execution:
    """Carries out every rollback that is released."""
    for run in execution.runs.filter(rolls_back__isnull=False, status="queued"):
        factories.carry_out(run, outcome)
    return moved_on(execution)


@pytest.mark.parametrize("outcome", ["failed", "timed_out"])
def test_a_device_that_failed_is_rolled_back_at_once(admin: User, outcome: str) -> None:
    execution = begun(admin, rollout={"success_threshold_percent": 50})
    end(execution, d0=outcome)
    (rollback,) = execution.runs.filter(rolls_back__isnull=False)
    assert rollback.rolls_back == run_of(execution, "0")
    assert (rollback.device_name, rollback.status, rollback.attempt) == ("0", "queued", 1)
    assert execution.abort_requested_at is None


def test_a_rollback_is_signed_for_its_own_payload_and_sent_it(admin: User) -> None:
    execution = begun(admin, 1)
    end(execution, d0="failed")
    (rollback,) = execution.runs.filter(rolls_back__isnull=False)
    payload = bytes(execution.rollback_payload or b"")
    assert b'"command":"down"' in payload
    assert b"up" not in payload
    terms = protocol.parse_terms(bytes(rollback.terms or b""))
    assert terms.payload_sha256 == hashlib.sha256(payload).hexdigest()
    message = protocol.run_bytes(bytes(rollback.terms or b""))
    assert protocol.verify(keys.current_public_key(), bytes(rollback.signature or b""), message)
    assert rollback.device is not None
    (grant,) = ledger.claim([factories.session_of(rollback.device)])
    assert (grant.run, grant.payload) == (rollback.pk, payload)


def test_it_is_rolled_back_only_when_its_attempts_are_used_up(admin: User) -> None:
    execution = begun(admin, 1, retry={"max_attempts": 2, "backoff_seconds": 0})
    end(execution, d0="failed")
    assert undone(execution) == set()
    end(execution, d0="failed")
    (rollback,) = execution.runs.filter(rolls_back__isnull=False)
    assert rollback.rolls_back is not None
    assert rollback.rolls_back.attempt == 2


def test_a_result_that_comes_in_mid_round_gets_its_next_attempt_and_no_rollback(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = begun(admin, 1, retry={"max_attempts": 2, "backoff_seconds": 0})
    run, judge = start(run_of(execution, "0")), rollout._abort_where_due

    def judge_as_the_result_comes(*given: Any) -> None:
        ledger.results([factories.result_of(run, "failed")])
        judge(*given)

    with monkeypatch.context() as patch:
        patch.setattr(rollout, "_abort_where_due", judge_as_the_result_comes)
        moved_on(execution)
    assert undone(moved_on(execution)) == set()
    assert run_of(execution, "0").attempt == 2


def test_once_the_threshold_is_out_of_reach_those_that_succeeded_are_rolled_back_too(
    admin: User,
) -> None:
    execution = begun(admin, 3)
    running = start(run_of(execution, "2"))
    end(execution, d0="succeeded", d1="failed")
    assert execution.abort_requested_at is not None
    # What has started is let finish first.
    assert undone(execution) == {"1"}
    ledger.results([factories.result_of(running)])
    moved_on(execution)
    assert undone(execution) == {"0", "1", "2"}
    assert execution.status == "running"
    undo(execution)
    assert (execution.status, execution.result["counts"]["succeeded"]) == ("partial", 2)
    assert "1 devices failed, and 100 % cannot succeed any more" in execution.error_message


def test_an_abort_skips_what_has_not_started_and_leaves_the_rollbacks(admin: User) -> None:
    execution = begun(admin, 4, rollout={"max_concurrent": 1, "success_threshold_percent": 70})
    while execution.abort_requested_at is None:
        released = execution.runs.get(status="queued", has_slot=True)
        factories.carry_out(released, "succeeded" if released.rolls_back_id else "failed")
        moved_on(execution)
    rollbacks = execution.runs.filter(rolls_back__isnull=False)
    assert rollbacks.count() == 2
    assert not rollbacks.filter(status="skipped").exists()
    assert execution.runs.filter(status="skipped").count() == 2


@pytest.mark.parametrize(("percent", "aborts"), [(67, True), (66, False)])
def test_the_threshold_decides_when_it_is_out_of_reach(
    admin: User, percent: int, aborts: bool
) -> None:
    execution = begun(admin, 3, rollout={"success_threshold_percent": percent})
    end(execution, d0="failed")
    assert (execution.abort_requested_at is not None) is aborts


def test_without_a_failure_nothing_is_rolled_back(admin: User) -> None:
    execution = begun(admin, 2)
    end(execution, d0="succeeded", d1="succeeded")
    assert (execution.status, execution.runs.count()) == ("success", 2)


def test_lost_devices_are_not_rolled_back_but_count_against(admin: User) -> None:
    execution = begun(admin, 2)
    end(execution, d0="succeeded", d1="unknown")
    assert execution.abort_requested_at is not None
    assert undone(execution) == {"0"}
    undo(execution)
    assert execution.status == "partial"


def test_late_evidence_rolls_nothing_back(admin: User) -> None:
    execution = begun(admin, 2)
    start(run_of(execution, "1"))
    end(execution, d0="unknown")
    end(execution, d1="succeeded")
    lost = run_of(execution, "0")
    ledger.results([factories.result_of(lost, "failed")])
    moved_on(execution)
    undo(execution)
    assert undone(execution) == {"1"}
    assert execution.has_ended


def test_a_run_past_its_deadline_keeps_no_other_from_being_rolled_back(admin: User) -> None:
    execution = begun(admin, 2)
    stuck = start(run_of(execution, "1"))
    end(execution, d0="succeeded")
    past = timezone.now() - timedelta(seconds=1)
    DeviceRun.objects.filter(pk=stuck.pk).update(deadline_at=past)
    moved_on(execution)
    assert undone(execution) == {"0"}
    undo(execution)
    assert execution.status == "running"  # it holds up its own device
    ledger.results([factories.result_of(stuck)])
    moved_on(execution)
    assert undone(execution) == {"0", "1"}


def test_an_attempt_that_an_abort_skipped_leaves_the_one_before_to_be_undone(admin: User) -> None:
    execution = begun(admin, 2, retry={"max_attempts": 2, "backoff_seconds": 600})
    end(execution, d0="failed")
    assert (run_of(execution, "0").attempt, undone(execution)) == (2, set())
    executions.abort(execution, admin)
    moved_on(execution)
    (rollback,) = execution.runs.filter(rolls_back__isnull=False)
    assert rollback.rolls_back is not None
    assert (rollback.device_name, rollback.rolls_back.attempt) == ("0", 1)


def test_an_abort_by_hand_rolls_back_what_succeeded(admin: User) -> None:
    execution = begun(admin, 2)
    end(execution, d0="succeeded")
    executions.abort(execution, admin)
    moved_on(execution)
    assert undone(execution) == {"0"}
    with pytest.raises(StateConflict):
        executions.abort(execution, admin)


def test_a_rollback_is_in_neither_the_judgement_nor_the_counts(admin: User) -> None:
    execution = begun(admin, 2, rollout={"success_threshold_percent": 50})
    end(execution, d0="failed", d1="succeeded")
    assert execution.status == "running"
    undo(execution, "failed")
    assert execution.status == "success"
    assert execution.result["devices_targeted"] == 2
    assert (execution.result["devices_succeeded"], execution.result["devices_failed"]) == (1, 1)
    assert execution.error_message == "On 1 device the rollback did not succeed."


def test_a_rollback_is_never_an_attempt_and_never_repeated(admin: User) -> None:
    execution = begun(admin, 1, retry={"max_attempts": 3, "backoff_seconds": 0})
    for _attempt in range(3):
        end(execution, d0="failed")
    undo(execution, "failed")
    assert execution.has_ended
    assert execution.runs.filter(rolls_back__isnull=False).count() == 1
    again = executions.retry(execution, admin)
    assert again.runs.get().rolls_back is None
    assert bytes(again.rollback_payload or b"") == bytes(execution.rollback_payload or b"")


def test_a_rollback_for_a_device_that_is_away_waits_whatever_the_policy(admin: User) -> None:
    execution = begun(admin, 1, offline_policy="skip")
    run = start(run_of(execution, "0"))
    assert run.device is not None
    factories.go_offline(run.device)
    ledger.results([factories.result_of(run, "failed")])
    moved_on(execution)
    (rollback,) = execution.runs.filter(rolls_back__isnull=False)
    assert (rollback.status, rollback.has_slot) == ("queued", False)


def test_a_rollback_that_waits_is_not_superseded_and_in_nobodys_way(admin: User) -> None:
    execution = begun(admin, 1)
    assert execution.task is not None
    end(execution, d0="failed")
    (rollback,) = execution.runs.filter(rolls_back__isnull=False)
    assert rollback.device is not None
    factories.go_offline(rollback.device)
    factories.make_due(execution.task)
    later = opening.open_due(execution.task.pk, None, "beat")
    assert later is not None
    assert later.status == "running"
    rollback.refresh_from_db()
    assert rollback.status == "queued"


def test_a_rollback_not_begun_in_time_expires_and_the_execution_ends(admin: User) -> None:
    execution = begun(admin, 1)
    end(execution, d0="failed")
    past = timezone.now() - timedelta(seconds=1)
    execution.runs.filter(rolls_back__isnull=False).update(not_after=past)
    reconcile.expire()
    moved_on(execution)
    assert (execution.status, execution.result["counts"]["expired"]) == ("failed", 0)
    assert "the rollback did not succeed" in execution.error_message


def test_rollbacks_heed_the_limit_and_a_pause(admin: User) -> None:
    execution = begun(admin, 3, rollout={"max_concurrent": 1})
    for _device in range(2):
        factories.carry_out(execution.runs.get(status="queued", has_slot=True))
        moved_on(execution)
    executions.pause_rollout(execution, admin)
    executions.abort(execution, admin)
    moved_on(execution)
    assert execution.runs.filter(rolls_back__isnull=False, status="pending").count() == 2
    assert steering.possible(execution).undoing == 2
    executions.resume_rollout(execution, admin)
    moved_on(execution)
    assert execution.runs.filter(status="queued", has_slot=True).count() == 1


def test_a_cancel_stops_the_rollbacks_too(admin: User) -> None:
    execution = begun(admin, 2)
    end(execution, d0="failed")
    executions.cancel(execution, admin)
    moved_on(execution)
    assert execution.status == "cancelled"
    assert [run.status for run in execution.runs.filter(rolls_back__isnull=False)] == ["cancelled"]


def test_many_are_rolled_back_batch_by_batch(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollbacks, "BATCH", 2)
    monkeypatch.setattr(release, "BATCH", 2)
    execution = begun(admin, 6)
    end(execution, d0="succeeded", d1="succeeded", d2="succeeded", d3="succeeded", d4="failed")
    assert len(undone(execution)) == 5
    assert execution.runs.get(device_name="5").status == "skipped"


def test_the_database_holds_one_rollback_a_run(admin: User) -> None:
    execution = begun(admin, 1)
    run = run_of(execution, "0")
    fields = {"execution": execution, "device": run.device, "device_name": "0"}
    DeviceRun.objects.create(rolls_back=run, **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        DeviceRun.objects.create(rolls_back=run, **fields)


def test_only_a_command_with_its_rollback_can_be_transactional(admin: User) -> None:
    options = {"strategy": "transactional"}
    with pytest.raises(InvalidInput) as refusal:
        factories.task(admin, task_payload={"command": "up"}, rollout=options)
    assert "rollback_command" in str(refusal.value)


def test_a_kind_that_cannot_be_undone_cannot_be_transactional(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(kinds.get("command")), "rollback", kinds.Kind.rollback)
    with pytest.raises(InvalidInput) as refusal:
        factories.task(admin, task_payload=PAYLOAD, rollout={"strategy": "transactional"})
    assert list(refusal.value.errors) == ["rollout"]
