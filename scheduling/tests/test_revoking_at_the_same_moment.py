"""A revocation and a start that meet: whoever commits first has decided."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from devices import fleet
from devices.ledger_port import RunGo, RunStop
from devices.models import Device
from scheduling import ledger, release
from scheduling.models import DeviceRun
from scheduling.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(admin: User, web_device: Device) -> DeviceRun:
    execution = factories.execution(factories.task(admin, devices=[web_device]))
    return factories.run(execution, web_device, status="claimed")


def meanwhile(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """The work on a connection of its own, which has come to wait for a lock; and its answer."""
    answers: list[Any] = []

    def course() -> None:
        try:
            answers.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=course)
    thread.start()
    deadline = time.monotonic() + 60
    while not _somebody_waits():
        assert time.monotonic() < deadline, "nobody came to wait"
        time.sleep(0.01)
    return thread, answers


def _somebody_waits() -> bool:
    """For what this connection holds; other tests have theirs in the same PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


def test_no_go_is_given_after_the_commit(
    admin: User, web_device: Device, run: DeviceRun, sent: object
) -> None:
    session = factories.session_of(web_device)
    with transaction.atomic():
        fleet.revoke(web_device, admin)
        thread, answers = meanwhile(lambda: ledger.start([(session, run.pk)]))
    thread.join()
    assert answers == [[RunStop(web_device.pk, run.pk, "revoked")]]
    run.refresh_from_db()
    assert (run.status, run.started_at) == ("skipped", None)


def test_a_go_that_was_given_first_makes_the_run_lost(
    admin: User, web_device: Device, run: DeviceRun, sent: object
) -> None:
    session = factories.session_of(web_device)
    with transaction.atomic():
        (answer,) = ledger.start([(session, run.pk)])
        thread, _answers = meanwhile(lambda: fleet.revoke(web_device, admin))
    thread.join()
    assert isinstance(answer, RunGo)
    run.refresh_from_db()
    assert (run.status, run.was_lost) == ("lost", True)


def test_nothing_is_granted_whose_slot_was_just_taken_back(
    admin: User, web_device: Device, sent: object
) -> None:
    execution = factories.execution(factories.task(admin), rollout_paused_at=timezone.now())
    queued = factories.run(execution, web_device, status="queued", has_slot=True)
    with transaction.atomic():
        assert release.take_back_slots(execution) == 1
        thread, answers = meanwhile(lambda: ledger.claim([factories.session_of(web_device)]))
    thread.join()
    assert answers == [[]]
    queued.refresh_from_db()
    assert queued.status == "queued"


def test_nothing_is_granted_after_the_commit(
    admin: User, web_device: Device, run: DeviceRun, sent: object
) -> None:
    queued = factories.run(factories.execution(factories.task(admin)), web_device, status="queued")
    session = factories.session_of(web_device)
    with transaction.atomic():
        fleet.revoke(web_device, admin)
        thread, answers = meanwhile(lambda: ledger.claim([session]))
    thread.join()
    assert answers == [[]]
    queued.refresh_from_db()
    assert queued.status == "skipped"
