"""What becomes of tasks and runs when a device or a group leaves."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from devices import fleet, groups
from devices.ledger_port import RunStop
from devices.models import Device, DeviceGroup
from scheduling import ledger, opening, schedules
from scheduling.models import DeviceRun, ScheduledTask
from scheduling.tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]


def run(task: ScheduledTask, device: Device, status: str) -> DeviceRun:
    return factories.run(factories.execution(task), device, status=status)


@pytest.mark.parametrize("verb", [fleet.revoke, fleet.delete])
@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("pending", "skipped"),
        ("queued", "skipped"),
        ("claimed", "skipped"),
        ("running", "lost"),
        ("succeeded", "succeeded"),
        ("expired", "expired"),
        ("lost", "lost"),
    ],
)
def test_its_runs_end_as_what_ran_of_them_says(
    admin: User, task: ScheduledTask, web_device: Device, verb: Any, status: str, becomes: str
) -> None:
    left = run(task, web_device, status)
    verb(web_device, admin)
    left.refresh_from_db()
    assert left.status == becomes
    assert (left.error_message != "") == (status != becomes)


def test_the_history_of_a_deleted_device_stays_under_its_name(
    admin: User, task: ScheduledTask, web_device: Device
) -> None:
    left = run(task, web_device, "succeeded")
    fleet.delete(web_device, admin)
    left.refresh_from_db()
    assert (left.device, left.device_name) == (None, "web-1")


def test_a_deleted_device_leaves_every_target_list(
    admin: User, operator: User, web_device: Device
) -> None:
    other = factories.device()
    both = factories.task(admin, devices=[web_device, other])
    alone = factories.task(admin, devices=[web_device])
    untouched = factories.task(admin, devices=[other])
    fleet.delete(web_device, admin)
    for task in (both, alone, untouched):
        task.refresh_from_db()
    assert both.device_ids == untouched.device_ids == [str(other.pk)]
    assert alone.device_ids == []


def test_a_deleted_group_leaves_every_target_list_and_its_tasks_stay(
    admin: User, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    groups.delete(web_group, admin)
    task.refresh_from_db()
    assert task.group_ids == []
    assert task.next_run_time is not None


def test_nothing_starts_on_a_revoked_device(
    admin: User, task: ScheduledTask, web_device: Device
) -> None:
    left = run(task, web_device, "claimed")
    session = factories.session_of(web_device)
    fleet.revoke(web_device, admin)
    (answer,) = ledger.start([(session, left.pk)])
    assert isinstance(answer, RunStop)
    assert ledger.claim([session]) == []


def test_workers_and_hubs_hear_of_it_after_the_commit(
    admin: User,
    task: ScheduledTask,
    web_device: Device,
    sent: list[tuple[str, Any]],
    after_commit: Any,
) -> None:
    left = run(task, web_device, "queued")
    with after_commit():
        fleet.revoke(web_device, admin)
        assert sent == []
    assert ("scheduling.tasks.advance", [[str(left.execution_id)]]) in sent


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_opened_while_its_device_is_deleted_ends_with_it(
    admin: User, operator: User, task: ScheduledTask, web_device: Device
) -> None:
    deleting = threading.Thread(target=_in_a_connection_of_its_own, args=(web_device, admin))
    with transaction.atomic():
        execution = schedules.execute(task, operator)
        deleting.start()
        _await_somebody_waiting_for_a_lock()
    deleting.join()
    left = execution.runs.get()
    assert (left.status, left.device, left.device_name) == ("skipped", None, "web-1")


def test_a_device_deleted_in_the_same_moment_gets_no_run(
    admin: User, operator: User, task: ScheduledTask, web_device: Device, monkeypatch: Any
) -> None:
    look = opening._targets

    def looks_and_loses(of: ScheduledTask) -> list[Device]:
        found = look(of)
        fleet.delete(web_device, admin)
        return found

    monkeypatch.setattr(opening, "_targets", looks_and_loses)
    assert not schedules.execute(task, operator).runs.exists()


def _in_a_connection_of_its_own(device: Device, admin: User) -> None:
    try:
        fleet.delete(device, admin)
    finally:
        connection.close()


def _await_somebody_waiting_for_a_lock() -> None:
    """One of this connection's; other tests have theirs in the same PostgreSQL."""
    deadline = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")
