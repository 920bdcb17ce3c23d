"""queued → claimed: what a device's one live session is granted, and what it is not."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from devices.ledger_port import RunGiveback, RunReject, Session
from devices.models import Device
from scheduling import ledger
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


def queued(admin: User, on: Device, number: int, **fields: Any) -> list[DeviceRun]:
    """So many queued runs of as many tasks, the first queued first."""
    made = []
    for place in range(number):
        execution = factories.execution(factories.task(admin, devices=[on]))
        moment = timezone.now() - timedelta(minutes=number - place)
        made.append(factories.run(execution, on, status="queued", queued_at=moment, **fields))
    return made


def claimed(*sessions: Session) -> list[uuid.UUID]:
    return [grant.run for grant in ledger.claim(sessions)]


def test_a_grant_carries_the_exact_signed_bytes(execution: Execution, web_device: Device) -> None:
    run = factories.run(execution, web_device, status="queued", key_id="key")
    (grant,) = ledger.claim([factories.session_of(web_device)])
    assert (grant.device, grant.run, grant.key_id) == (web_device.pk, run.pk, "key")
    assert (grant.terms, grant.signature) == (b"terms", b"signature")
    assert execution.payload is not None
    assert grant.payload == bytes(execution.payload)
    run.refresh_from_db()
    assert (run.status, run.claim_session) == ("claimed", web_device.session)


def test_the_oldest_come_first_and_never_more_than_four_at_once(
    admin: User, web_device: Device
) -> None:
    runs = queued(admin, web_device, 6)
    session = factories.session_of(web_device)
    assert claimed(session) == [run.pk for run in runs[:4]]
    assert claimed(session) == []
    ledger.start([(session, runs[0].pk)])
    assert claimed(session) == []
    ledger.results([factories.result_of(runs[0])])
    assert claimed(session) == [runs[4].pk]


def test_each_device_has_a_limit_of_its_own(admin: User, web_device: Device, settings: Any) -> None:
    settings.DEPLOYX_RUNS_PER_DEVICE = 1
    other = factories.device()
    runs = [queued(admin, on, 2)[0] for on in (web_device, other)]
    sessions = [factories.session_of(on) for on in (web_device, other)]
    assert set(claimed(*sessions)) == {run.pk for run in runs}


def test_two_runs_of_one_task_are_never_on_a_device_at_once(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device])
    first, second = (
        factories.run(factories.execution(task), web_device, status="queued") for _ in range(2)
    )
    session = factories.session_of(web_device)
    assert claimed(session) == [first.pk]
    ledger.start([(session, first.pk)])
    assert claimed(session) == []
    ledger.results([factories.result_of(first)])
    assert claimed(session) == [second.pk]


def test_two_runs_of_a_task_that_allows_it_are(admin: User, web_device: Device) -> None:
    task = factories.task(admin, devices=[web_device], overlap_policy="allow")
    runs = [
        factories.run(factories.execution(task), web_device, status="queued", is_exclusive=False)
        for _number in range(2)
    ]
    assert claimed(factories.session_of(web_device)) == [run.pk for run in runs]


def test_a_run_that_is_still_elsewhere_does_not_bar_the_task_here(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin, devices=[web_device])
    factories.run(factories.execution(task), status="running")
    run = factories.run(factories.execution(task), web_device, status="queued")
    assert claimed(factories.session_of(web_device)) == [run.pk]


@pytest.mark.parametrize(
    "change",
    [
        {"has_slot": False},
        {"not_after": timezone.now() - timedelta(seconds=1)},
    ],
    ids=["slot", "time"],
)
def test_a_run_without_a_slot_or_past_its_time_is_not_granted(
    execution: Execution, web_device: Device, change: dict[str, Any]
) -> None:
    factories.run(execution, web_device, status="queued", **change)
    assert claimed(factories.session_of(web_device)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"session": uuid.uuid4()},
        {"revoked_at": timezone.now()},
        {"in_recovery": True},
        {"is_ready": False},
    ],
    ids=["another session", "revoked", "in recovery", "not ready"],
)
def test_only_the_live_session_of_a_device_in_good_order_is_granted_anything(
    execution: Execution, web_device: Device, change: dict[str, Any]
) -> None:
    factories.run(execution, web_device, status="queued")
    session = factories.session_of(web_device)
    Device.objects.filter(pk=web_device.pk).update(**change)
    assert claimed(session) == []


@pytest.mark.parametrize("status", sorted(set(factories.WAYS) - {"queued"}))
def test_nothing_but_queued_runs_is_claimed(
    execution: Execution, web_device: Device, status: str
) -> None:
    run = factories.run(execution, web_device, status=status)
    assert claimed(factories.session_of(web_device)) == []
    before = run.status
    run.refresh_from_db()
    assert run.status == before


def test_of_two_sessions_of_a_device_only_the_live_one_claims(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="queued")
    fenced = factories.session_of(web_device)
    live = factories.come_online(web_device)
    assert claimed(fenced, live) == [run.pk]
    run.refresh_from_db()
    assert run.claim_session == live.session


@pytest.mark.django_db(transaction=True)
def test_hubs_that_claim_at_the_same_moment_get_each_run_once() -> None:
    admin = factories.person(is_administrator=True)
    devices = [factories.device() for _number in range(6)]
    runs = [run.pk for on in devices for run in queued(admin, on, 3)]
    sessions = [factories.session_of(on) for on in devices]
    granted = at_once(4, lambda: claimed(*sessions))
    assert sorted(run for answer in granted for run in answer) == sorted(runs)


def at_once(number: int, work: Callable[[], Any]) -> list[Any]:
    """What as many threads, each on a connection of its own, answered after a common start."""
    barrier, answers = threading.Barrier(number), []

    def one() -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            answers.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _number in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == number
    return answers


def test_a_poll_grants_again_what_the_agent_does_not_hold(admin: User, web_device: Device) -> None:
    lost, held = queued(admin, web_device, 2)
    session = factories.session_of(web_device)
    ledger.claim([session])
    answer = ledger.poll(session, {held.pk: "claimed"})
    assert [grant.run for grant in answer.grants] == [lost.pk]
    assert answer.gos == []


def test_a_poll_repeats_the_go_to_an_agent_that_still_waits_for_it(
    admin: User, web_device: Device
) -> None:
    missed, seen = queued(admin, web_device, 2)
    session = factories.session_of(web_device)
    ledger.claim([session])
    ledger.start([(session, missed.pk), (session, seen.pk)])
    answer = ledger.poll(session, {missed.pk: "claimed", seen.pk: "go"})
    assert [(go.run, go.timeout_seconds) for go in answer.gos] == [(missed.pk, 3_600)]
    assert answer.grants == []


def test_a_poll_claims_nothing_and_gives_another_session_nothing(
    admin: User, web_device: Device
) -> None:
    (run,) = queued(admin, web_device, 1)
    fenced = factories.session_of(web_device)
    assert ledger.poll(fenced, {}).grants == []
    ledger.claim([fenced])
    live = factories.come_online(web_device)
    assert ledger.poll(live, {}).grants == []
    assert ledger.poll(fenced, {}).grants == []
    run.refresh_from_db()
    assert run.status == "claimed"


def test_a_giveback_puts_the_run_back_and_asks_for_nothing_more(
    admin: User, web_device: Device
) -> None:
    given, _waiting = queued(admin, web_device, 2)
    session = factories.session_of(web_device)
    ledger.claim([session])
    (ack,) = ledger.givebacks([RunGiveback(session, given.pk)])
    assert (ack.run, ack.state) == (given.pk, "queued")
    given.refresh_from_db()
    assert (given.claim_session, given.claimed_at, given.has_slot) == (None, None, True)
    assert claimed(session) == []
    Device.objects.filter(pk=web_device.pk).update(is_ready=True)
    assert claimed(session) == [given.pk]


def test_a_giveback_of_an_earlier_session_is_acknowledged_and_ignored(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="claimed")
    (ack,) = ledger.givebacks([RunGiveback(Session(web_device.pk, uuid.uuid4()), run.pk)])
    assert ack.state == "claimed"
    web_device.refresh_from_db()
    assert web_device.is_ready


def test_a_reject_ends_the_run_and_says_why(execution: Execution, web_device: Device) -> None:
    run = factories.run(execution, web_device, status="claimed")
    reject = RunReject(web_device.pk, run.pk, "policy", "run_as root is not allowed")
    assert [ack.state for ack in ledger.rejects([reject, reject])] == ["rejected", "rejected"]
    run.refresh_from_db()
    assert run.error_message == "policy: run_as root is not allowed"
    assert (run.detail, run.started_at) == ({"reject_code": "policy"}, None)


@pytest.mark.parametrize("status", ["running", "succeeded", "cancelled"])
def test_a_reject_changes_nothing_but_a_claimed_run(
    execution: Execution, web_device: Device, status: str
) -> None:
    run = factories.run(execution, web_device, status=status)
    (ack,) = ledger.rejects([RunReject(web_device.pk, run.pk, "policy", "")])
    assert ack.state == status


def test_another_devices_reject_or_giveback_changes_nothing(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="claimed")
    thief = factories.device()
    (rejected,) = ledger.rejects([RunReject(thief.pk, run.pk, "policy", "")])
    (given,) = ledger.givebacks([RunGiveback(factories.session_of(thief), run.pk)])
    run.refresh_from_db()
    assert (rejected.state, given.state, run.status) == ("unknown", "unknown", "claimed")
