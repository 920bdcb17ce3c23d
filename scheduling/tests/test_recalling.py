"""What a device in recovery tells of its runs after a restore, and what comes of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from devices.ledger_port import JournalRow
from devices.models import Device, Installation
from scheduling import cancelling, clock, ledger
from scheduling.models import Alarm, DeviceRun, Execution
from scheduling.tests import factories
from scheduling.tests.test_hello import Cell, journal_row

ANSWERS = [
    *[
        cell
        for row in ("pending", "queued")
        for cell in (
            Cell(row, None, [], row),
            Cell(row, "claimed", ["drop"], row),
            Cell(row, "go", ["keep"], "running"),
            Cell(row, "ended", ["ack"], "succeeded"),
            Cell(row, "unknown", ["ack"], "lost"),
        )
    ],
    Cell("claimed", None, [], "queued"),
    Cell("claimed", "claimed", ["keep"], "claimed"),
    Cell("claimed", "go", ["keep"], "running"),
    Cell("claimed", "ended", ["ack"], "succeeded"),
    Cell("claimed", "unknown", ["ack"], "lost"),
    Cell("running", None, [], "lost"),
    Cell("running", "claimed", ["drop"], "lost"),
    Cell("running", "go", ["keep"], "running"),
    Cell("running", "ended", ["ack"], "succeeded"),
    Cell("lost", None, [], "lost"),
    Cell("lost", "go", ["keep"], "lost"),
    Cell("lost", "ended", ["ack"], "succeeded"),
]


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin, expires_after_seconds=3_600))


@pytest.fixture(autouse=True)
def restored(web_device: Device) -> None:
    """What a test makes before it calls `answer` is older than the restore."""
    Installation.objects.get_or_create(only=True)


def mark(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(in_recovery=True)
    Installation.objects.update(recovery_began_at=clock.now())


def answer(
    device: Device, journal: Sequence[JournalRow], *, is_whole: bool = True
) -> list[tuple[object, str]]:
    """The verdicts on what the device tells of all it is asked for."""
    session = factories.come_online(device)
    asked = ledger.recall(session)
    told = ledger.recalled(session, asked, journal, is_whole=is_whole)
    return [(one.run, one.verdict) for one in told]


def status_of(run: DeviceRun) -> str:
    run.refresh_from_db()
    return run.status


@pytest.mark.parametrize("cell", ANSWERS, ids=lambda cell: f"{cell.row}-{cell.journal}")
def test_each_run_ends_as_the_device_says(
    execution: Execution, web_device: Device, cell: Cell
) -> None:
    run = factories.run(execution, web_device, status=cell.row)
    mark(web_device)
    journal = [journal_row(run, cell.journal)] if cell.journal else []
    assert answer(web_device, journal) == [(run.pk, verdict) for verdict in cell.verdicts]
    assert status_of(run) == cell.becomes
    assert run.was_lost == ("lost" in (cell.row, cell.becomes))
    web_device.refresh_from_db()
    assert not web_device.in_recovery
    assert not Alarm.objects.exists()


def test_only_unfinished_and_lost_runs_are_asked_for(
    execution: Execution, web_device: Device, admin: User
) -> None:
    asked = {
        factories.run(factories.execution(factories.task(admin)), web_device, status=status).pk
        for status in ("pending", "queued", "claimed", "running", "lost")
    }
    factories.run(execution, web_device, status="succeeded")
    factories.run(execution, status="running")
    session = factories.session_of(web_device)
    assert ledger.recall(session) == []
    mark(web_device)
    assert set(ledger.recall(session)) == asked


def test_what_still_runs_gets_a_deadline_of_its_own(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device)
    mark(web_device)
    answer(web_device, [journal_row(run, "go")])
    run.refresh_from_db()
    assert run.started_at is not None
    assert run.deadline_at == run.started_at + timedelta(seconds=run.timeout_seconds + 60)


def test_a_session_that_was_fenced_meanwhile_settles_nothing(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="running")
    mark(web_device)
    fenced = factories.session_of(web_device)
    factories.come_online(web_device)
    assert ledger.recalled(fenced, [run.pk], [], is_whole=True) == []
    web_device.refresh_from_db()
    assert (status_of(run), web_device.in_recovery) == ("running", True)


@pytest.mark.parametrize("status", ["pending", "queued", "claimed"])
def test_the_silence_of_a_damaged_journal_proves_nothing(
    execution: Execution, web_device: Device, status: str
) -> None:
    run = factories.run(execution, web_device, status=status)
    mark(web_device)
    answer(web_device, [], is_whole=False)
    assert status_of(run) == "lost"


@pytest.mark.parametrize(("days", "becomes"), [(6.9, "queued"), (7.1, "lost")])
def test_a_device_remembers_a_week_past_a_runs_expiry(
    execution: Execution, web_device: Device, days: float, becomes: str
) -> None:
    over = timezone.now() - timedelta(days=days)
    run = factories.run(execution, web_device, status="queued", not_after=over)
    mark(web_device)
    answer(web_device, [])
    assert status_of(run) == becomes


@pytest.mark.parametrize(
    ("age", "backup_age", "becomes"),
    [
        # Released after the backup, it expired an hour later at the earliest.
        (timedelta(days=30), timedelta(days=7, minutes=50), "pending"),
        (timedelta(days=30), timedelta(days=7, minutes=70), "lost"),
        (timedelta(days=30), None, "lost"),
        (timedelta(days=7), None, "pending"),
    ],
)
def test_a_run_that_was_never_released_may_have_been_since_the_backup(
    execution: Execution,
    web_device: Device,
    age: timedelta,
    backup_age: timedelta | None,
    becomes: str,
) -> None:
    run = factories.run(execution, web_device, created_at=timezone.now() - age)
    mark(web_device)
    taken_at = None if backup_age is None else timezone.now() - backup_age
    Installation.objects.update(backup_taken_at=taken_at)
    answer(web_device, [])
    assert status_of(run) == becomes


def test_what_opened_after_the_restore_goes_on(
    admin: User, execution: Execution, web_device: Device
) -> None:
    factories.run(execution, web_device)
    mark(web_device)
    later = factories.run(factories.execution(factories.task(admin)), web_device)
    answer(web_device, [], is_whole=False)
    assert status_of(later) == "pending"


@pytest.mark.parametrize("status", ["pending", "queued", "claimed"])
def test_a_cancel_that_was_only_noted_is_carried_out(
    admin: User, execution: Execution, web_device: Device, status: str
) -> None:
    run = factories.run(execution, web_device, status=status)
    mark(web_device)
    cancelling.cancel_run(run, admin)
    assert status_of(run) == status
    answer(web_device, [])
    assert status_of(run) == "cancelled"
    assert run.started_at is None


def test_what_was_cancelled_meanwhile_and_runs_is_killed(
    admin: User, execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device)
    mark(web_device)
    cancelling.cancel(execution, admin)
    assert answer(web_device, [journal_row(run, "go")]) == [(run.pk, "keep")]
    assert ledger.cancels() == {web_device.pk: [run.pk]}


def test_of_what_piled_up_meanwhile_the_latest_runs(admin: User, web_device: Device) -> None:
    task = factories.task(admin)
    mark(web_device)
    older, newer = (factories.run(factories.execution(task), web_device) for _ in range(2))
    answer(web_device, [])
    assert (status_of(older), status_of(newer)) == ("skipped", "pending")


def test_what_both_waited_when_the_backup_was_taken_both_run(
    admin: User, web_device: Device
) -> None:
    task = factories.task(admin)
    waiting = [factories.run(factories.execution(task), web_device) for _ in range(2)]
    mark(web_device)
    answer(web_device, [])
    assert [status_of(run) for run in waiting] == ["pending", "pending"]


def test_a_result_that_comes_in_recovery_is_believed(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="queued")
    mark(web_device)
    (ack,) = ledger.results([factories.result_of(run)])
    assert (ack.state, status_of(run), run.was_lost) == ("succeeded", "succeeded", False)
