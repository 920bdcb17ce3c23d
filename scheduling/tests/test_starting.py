"""claimed → running, the only point of no return; and what follows it: results and cancels."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.ledger_port import RunGo, RunResult, RunStop
from devices.models import Device, InstalledSoftware
from scheduling import executions, ledger, reconcile
from scheduling.models import DeviceRun, OutputGap
from scheduling.tests import factories


@pytest.fixture
def run(admin: User, web_device: Device) -> DeviceRun:
    """Claimed by the live session of `web_device`."""
    execution = factories.execution(factories.task(admin, devices=[web_device]))
    return factories.run(execution, web_device, status="claimed")


def start(run: DeviceRun, **session: Any) -> RunGo | RunStop:
    assert run.device is not None
    run.device.refresh_from_db()
    one = factories.session_of(run.device)
    (answer,) = ledger.start([(session.get("session", one), run.pk)])
    return answer


def test_a_claimed_run_gets_its_go_and_its_deadline(run: DeviceRun) -> None:
    answer = start(run)
    assert answer == RunGo(run.device_id, run.pk, 3_600)  # type: ignore[arg-type]
    run.refresh_from_db()
    assert run.status == "running"
    assert run.started_at is not None
    assert run.deadline_at == run.started_at + timedelta(seconds=3_660)


def test_a_go_is_repeated_to_the_session_that_has_it(run: DeviceRun) -> None:
    first = start(run)
    run.refresh_from_db()
    began = run.started_at
    assert start(run) == first
    run.refresh_from_db()
    assert run.started_at == began


def test_a_go_is_never_given_to_another_session(run: DeviceRun) -> None:
    start(run)
    assert run.device is not None
    assert start(run, session=factories.come_online(run.device)) == stop(run, "unknown")


def stop(run: DeviceRun, reason: str) -> RunStop:
    assert run.device_id is not None
    return RunStop(run.device_id, run.pk, reason)


@pytest.mark.parametrize(
    ("run_change", "device_change", "reason"),
    [
        ({"cancel_requested_at": timezone.now()}, {}, "cancelled"),
        ({"not_after": timezone.now() - timedelta(seconds=1)}, {}, "expired"),
        ({}, {"revoked_at": timezone.now()}, "revoked"),
        ({"claim_session": uuid.uuid4()}, {}, "unknown"),
        ({}, {"in_recovery": True}, "unknown"),
    ],
)
def test_what_bars_a_start_stops_it(
    run: DeviceRun, run_change: dict[str, Any], device_change: dict[str, Any], reason: str
) -> None:
    DeviceRun.objects.filter(pk=run.pk).update(status="claimed", **run_change)
    assert run.device is not None
    if device_change:
        Device.objects.filter(pk=run.device.pk).update(**device_change)
    assert start(run) == stop(run, reason)
    run.refresh_from_db()
    assert (run.status, run.started_at) == ("claimed", None)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("queued", "unknown"),
        ("pending", "unknown"),
        ("cancelled", "cancelled"),
        ("expired", "expired"),
        ("skipped", "expired"),
        ("rejected", "unknown"),
        ("lost", "unknown"),
        ("succeeded", "unknown"),
    ],
)
def test_what_is_not_claimed_is_stopped(
    admin: User, web_device: Device, status: str, reason: str
) -> None:
    run = factories.run(factories.execution(factories.task(admin)), web_device, status=status)
    assert start(run) == stop(run, reason)
    assert DeviceRun.objects.get(pk=run.pk).status == status


def test_a_fenced_session_starts_nothing(run: DeviceRun) -> None:
    assert run.device is not None
    fenced = factories.session_of(run.device)
    factories.come_online(run.device)
    assert isinstance(start(run, session=fenced), RunStop)
    assert DeviceRun.objects.get(pk=run.pk).status == "claimed"


def test_another_devices_run_is_unknown(run: DeviceRun) -> None:
    thief = factories.device()
    (answer,) = ledger.start([(factories.session_of(thief), run.pk)])
    assert answer == RunStop(thief.pk, run.pk, "unknown")


def test_starts_of_many_devices_are_answered_in_one_go(admin: User, run: DeviceRun) -> None:
    assert run.device is not None
    other = factories.run(factories.execution(factories.task(admin)), status="claimed")
    assert other.device is not None
    gone = uuid.uuid4()
    session = factories.session_of(run.device)
    answers = ledger.start(
        [(session, run.pk), (factories.session_of(other.device), other.pk), (session, gone)]
    )
    by_run = {one.run: type(one) for one in answers}
    assert by_run == {run.pk: RunGo, other.pk: RunGo, gone: RunStop}


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "timed_out"])
def test_a_result_is_recorded_and_its_repeat_answered_the_same(
    run: DeviceRun, outcome: str
) -> None:
    start(run)
    result = factories.result_of(run, outcome, exit_code=3, detail={"summary": "exit code 3"})
    for _number in range(2):
        assert [(ack.run, ack.state) for ack in ledger.results([result])] == [(run.pk, outcome)]
    run.refresh_from_db()
    assert (run.status, run.exit_code, run.output_finished) == (outcome, 3, True)
    assert run.error_message == ("" if outcome == "succeeded" else "exit code 3")


def test_another_result_for_an_ended_run_changes_nothing(run: DeviceRun) -> None:
    start(run)
    ledger.results([factories.result_of(run)])
    (ack,) = ledger.results([factories.result_of(run, "failed")])
    run.refresh_from_db()
    assert (ack.state, run.status, run.exit_code) == ("succeeded", "succeeded", 0)


def test_unknown_means_lost_and_evidence_settles_it(run: DeviceRun) -> None:
    start(run)
    (ack,) = ledger.results([factories.result_of(run, "unknown", exit_code=None)])
    run.refresh_from_db()
    assert (ack.state, run.was_lost) == ("lost", True)
    assert "may have run" in run.error_message
    (ack,) = ledger.results([factories.result_of(run)])
    run.refresh_from_db()
    assert (ack.state, run.status, run.was_lost) == ("succeeded", "succeeded", True)
    assert run.error_message == ""


def test_a_kill_is_cancelled_only_where_somebody_asked_for_it(admin: User, run: DeviceRun) -> None:
    start(run)
    other = factories.run(run.execution, status="running", cancel_requested_at=timezone.now())
    acks = ledger.results([factories.result_of(one, "cancelled") for one in (run, other)])
    assert {ack.run: ack.state for ack in acks} == {run.pk: "failed", other.pk: "cancelled"}


def test_a_result_of_another_device_does_not_push_the_right_one_aside(run: DeviceRun) -> None:
    start(run)
    thief = factories.device()
    forged = RunResult(thief.pk, run.pk, "failed", 1, {}, 0, "")
    acks = ledger.results([factories.result_of(run), forged])
    assert {ack.device: ack.state for ack in acks} == {
        run.device_id: "succeeded",
        thief.pk: "unknown",
    }
    run.refresh_from_db()
    assert run.status == "succeeded"


def test_what_another_device_says_is_installed_is_not_taken_for_the_right_ones(
    run: DeviceRun,
) -> None:
    start(run)
    stranger = factories.device()
    forged = {"summary": "x", "installed": [{"id": None, "name": "Forged", "version": "1"}]}
    ledger.results(
        [
            factories.result_of(run),
            factories.result_of(run, device=stranger.pk, detail=forged),
        ]
    )
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert not InstalledSoftware.objects.exists()


def test_a_result_without_a_go_goes_through_lost(run: DeviceRun) -> None:
    (ack,) = ledger.results([factories.result_of(run)])
    run.refresh_from_db()
    assert (ack.state, run.was_lost) == ("succeeded", True)


@pytest.mark.parametrize("status", ["cancelled", "expired", "skipped", "rejected"])
def test_what_did_not_run_stays_so_whatever_a_device_says(
    admin: User, web_device: Device, status: str
) -> None:
    run = factories.run(factories.execution(factories.task(admin)), web_device, status=status)
    (ack,) = ledger.results([factories.result_of(run, output_length=5)])
    run.refresh_from_db()
    assert (ack.state, run.status, run.output_next) == (status, status, 0)


@pytest.mark.parametrize("outcome", ["succeeded", "cancelled"])
def test_bytes_that_never_came_are_one_gap(run: DeviceRun, outcome: str) -> None:
    start(run)
    factories.write_output(run, b"abc")
    DeviceRun.objects.filter(pk=run.pk).update(cancel_requested_at=timezone.now())
    ledger.results([factories.result_of(run, outcome, output_length=10)])
    gap = OutputGap.objects.get()
    assert (gap.offset, gap.bytes) == (3, 7)


def test_cancels_are_asked_for_until_they_are_settled(admin: User, run: DeviceRun) -> None:
    start(run)
    assert ledger.cancels() == {}
    executions.cancel(run.execution, admin)
    for _number in range(2):
        assert ledger.cancels() == {run.device_id: [run.pk]}
    ledger.results([factories.result_of(run, "cancelled", exit_code=None)])
    assert ledger.cancels() == {}


def test_a_cancel_reaches_a_run_that_was_given_up_and_goes_on(admin: User, run: DeviceRun) -> None:
    start(run)
    executions.cancel(run.execution, admin)
    DeviceRun.objects.filter(pk=run.pk).update(deadline_at=timezone.now() - timedelta(days=2))
    assert reconcile.lose() == 1
    assert ledger.cancels() == {run.device_id: [run.pk]}
    ledger.results([factories.result_of(run, "cancelled", exit_code=None)])
    run.refresh_from_db()
    assert (run.status, run.was_lost, ledger.cancels()) == ("cancelled", True, {})


def test_revoking_skips_what_waits_and_loses_what_runs(admin: User, web_device: Device) -> None:
    runs = [
        factories.run(factories.execution(factories.task(admin)), web_device, status=status)
        for status in (*DeviceRun.UNENDED, "failed")
    ]
    ledger.device_revoked(web_device.pk)
    states = [DeviceRun.objects.get(pk=run.pk).status for run in runs]
    assert states == ["skipped", "skipped", "skipped", "lost", "failed"]
