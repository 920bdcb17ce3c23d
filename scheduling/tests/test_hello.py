"""The verdicts at hello: every cell of protocol.md's table."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User

from devices.ledger_port import JournalRow, RunResult
from devices.models import Device
from scheduling import ledger
from scheduling.models import DeviceRun, Execution, OutputGap
from scheduling.tests import factories


@dataclass(frozen=True)
class Cell:
    """The server's row, what the journal says, and what comes of it."""

    row: str
    journal: str | None
    verdicts: list[str]
    becomes: str


TABLE = [
    # pending, queued
    Cell("pending", None, [], "pending"),
    Cell("pending", "claimed", ["drop"], "pending"),
    Cell("pending", "go", ["keep"], "lost"),
    Cell("pending", "ended", ["ack"], "succeeded"),
    Cell("pending", "unknown", ["ack"], "lost"),
    Cell("queued", None, [], "queued"),
    Cell("queued", "claimed", ["drop"], "queued"),
    Cell("queued", "go", ["keep"], "lost"),
    Cell("queued", "ended", ["ack"], "succeeded"),
    Cell("queued", "unknown", ["ack"], "lost"),
    # claimed by the earlier session
    Cell("claimed", None, [], "queued"),
    Cell("claimed", "claimed", ["keep"], "claimed"),
    Cell("claimed", "go", ["keep"], "lost"),
    Cell("claimed", "ended", ["ack"], "succeeded"),
    Cell("claimed", "unknown", ["ack"], "lost"),
    # running
    Cell("running", None, [], "lost"),
    Cell("running", "claimed", ["drop"], "lost"),
    Cell("running", "go", ["keep"], "running"),
    Cell("running", "ended", ["ack"], "succeeded"),
    Cell("running", "unknown", ["ack"], "lost"),
    # never started
    *[
        cell
        for row in ("cancelled", "expired", "skipped", "rejected")
        for cell in (
            Cell(row, None, [], row),
            Cell(row, "claimed", ["kill", "ack"], row),
            Cell(row, "go", ["kill", "ack"], row),
            Cell(row, "ended", ["ack"], row),
            Cell(row, "unknown", ["ack"], row),
        )
    ],
    # lost
    Cell("lost", None, [], "lost"),
    Cell("lost", "claimed", ["drop"], "lost"),
    Cell("lost", "go", ["keep"], "lost"),
    Cell("lost", "ended", ["ack"], "succeeded"),
    Cell("lost", "unknown", ["ack"], "lost"),
    # ended after a start
    *[
        cell
        for row in ("failed", "timed_out", "killed")
        for cell in (
            Cell(row, None, [], row),
            Cell(row, "claimed", ["drop"], row),
            Cell(row, "go", ["kill", "ack"], row),
            Cell(row, "ended", ["ack"], row),
            Cell(row, "unknown", ["ack"], row),
        )
    ],
]


def journal_row(run: DeviceRun, state: str) -> JournalRow:
    outcome = {"ended": "succeeded", "unknown": "unknown"}.get(state)
    result = factories.result_of(run, outcome) if outcome else None
    return JournalRow(run.pk, state, result)


@pytest.fixture
def execution(admin: User) -> Execution:
    return factories.execution(factories.task(admin))


@pytest.mark.parametrize("cell", TABLE, ids=lambda cell: f"{cell.row}-{cell.journal}")
def test_row_and_journal_are_settled_as_the_table_says(
    execution: Execution, web_device: Device, cell: Cell
) -> None:
    run = factories.run(execution, web_device, status=cell.row)
    session = factories.come_online(web_device)
    journal = [journal_row(run, cell.journal)] if cell.journal else []
    answers = ledger.hello(session, journal)
    assert [(one.run, one.verdict) for one in answers] == [(run.pk, v) for v in cell.verdicts]
    run.refresh_from_db()
    assert run.status == ("cancelled" if cell.becomes == "killed" else cell.becomes)


def test_a_run_that_is_kept_claimed_belongs_to_the_new_session(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="claimed")
    session = factories.come_online(web_device)
    ledger.hello(session, [JournalRow(run.pk, "claimed")])
    run.refresh_from_db()
    assert run.claim_session == session.session


def test_a_claim_the_device_never_saw_is_nobodys_again(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="claimed")
    ledger.hello(factories.come_online(web_device), [])
    run.refresh_from_db()
    assert (run.status, run.claim_session, run.claimed_at) == ("queued", None, None)


def test_evidence_settles_a_lost_run_and_the_row_remembers(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="lost", error_message="no trace")
    result = factories.result_of(run, "failed", exit_code=3, detail={"summary": "exit code 3"})
    ledger.hello(factories.come_online(web_device), [JournalRow(run.pk, "ended", result)])
    run.refresh_from_db()
    assert (run.status, run.was_lost, run.exit_code) == ("failed", True, 3)
    assert run.error_message == "exit code 3"


def test_what_started_without_a_go_goes_through_lost(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="queued")
    ledger.hello(factories.come_online(web_device), [journal_row(run, "ended")])
    run.refresh_from_db()
    assert (run.status, run.was_lost) == ("succeeded", True)


@pytest.mark.parametrize("state", ["claimed", "go", "ended", "unknown"])
def test_a_run_this_server_does_not_know_is_kept(web_device: Device, state: str) -> None:
    stranger = uuid.uuid4()
    result = RunResult(web_device.pk, stranger, "succeeded", 0, {}, 0, "")
    row = JournalRow(stranger, state, result if state == "ended" else None)
    (answer,) = ledger.hello(factories.session_of(web_device), [row])
    assert (answer.run, answer.verdict) == (stranger, "keep")


@pytest.mark.parametrize("state", ["claimed", "go", "ended"])
def test_another_devices_run_is_unknown_here_and_stays_as_it_is(
    execution: Execution, web_device: Device, state: str
) -> None:
    run = factories.run(execution, web_device, status="running")
    thief = factories.device()
    result = RunResult(thief.pk, run.pk, "failed", 1, {}, 0, "") if state == "ended" else None
    (answer,) = ledger.hello(factories.session_of(thief), [JournalRow(run.pk, state, result)])
    run.refresh_from_db()
    assert (answer.verdict, run.status) == ("keep", "running")


def test_output_that_never_came_is_marked_with_its_length(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="running")
    factories.write_output(run, b"12345")
    result = factories.result_of(run, output_length=12)
    ledger.hello(factories.come_online(web_device), [JournalRow(run.pk, "ended", result)])
    run.refresh_from_db()
    gap = OutputGap.objects.get()
    assert (gap.offset, gap.bytes) == (5, 7)
    assert (run.output_next, run.output_truncated) == (12, True)


def test_all_runs_of_a_device_are_settled_in_one_go(
    execution: Execution, admin: User, web_device: Device
) -> None:
    other = factories.execution(factories.task(admin))
    kept = factories.run(execution, web_device, status="running")
    forgotten = factories.run(other, web_device, status="claimed")
    elsewhere = factories.run(other, status="running")
    answers = ledger.hello(factories.come_online(web_device), [JournalRow(kept.pk, "go")])
    assert [(one.run, one.verdict) for one in answers] == [(kept.pk, "keep")]
    states = [DeviceRun.objects.get(pk=run.pk).status for run in (kept, forgotten, elsewhere)]
    assert states == ["running", "queued", "running"]


def test_a_hello_that_was_fenced_meanwhile_changes_nothing(
    execution: Execution, web_device: Device
) -> None:
    run = factories.run(execution, web_device, status="claimed")
    fenced = factories.session_of(web_device)
    factories.come_online(web_device)
    assert ledger.hello(fenced, [JournalRow(run.pk, "claimed")]) == []
    assert ledger.hello(fenced, []) == []
    run.refresh_from_db()
    assert (run.status, run.claim_session) == ("claimed", fenced.session)
