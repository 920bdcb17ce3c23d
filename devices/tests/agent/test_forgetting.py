"""What the journal has let go of does not start a second time, whatever the server says the time is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devices.agent import journal as journals
from devices.agent.journal import Horizon, Journal
from devices.agent.protocol import (
    Evidence,
    HeartbeatAck,
    JournalState,
    Outcome,
    Recall,
    Recalled,
    RejectCode,
    Terms,
    build_terms,
)

from .conftest import AgentProcess, eventually
from .fake_runs import Run, new_id
from .fake_server import DEADLINE_SECONDS, FakeServer

RELEASED = datetime(2027, 1, 1, tzinfo=UTC)
UNTIL = RELEASED + timedelta(days=30)
FAR = UNTIL + timedelta(days=365)
EVIDENCE = Evidence(Outcome.SUCCEEDED, 0, {"summary": "exit code 0"}, 5, "ab" * 32)
TERMS = Terms(
    server_id=new_id(), run=new_id(), device=new_id(), execution=new_id(), task=None, attempt=1,
    scheduled_for=None, kind="command", payload_sha256="ab" * 32, files=(), run_as=None,
    timeout_seconds=60, not_before=RELEASED, not_after=UNTIL,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def settle(journal: Journal, run: str, terms: bytes | None = None, until: datetime = UNTIL) -> None:
    journal.claim(run, build_terms(TERMS) if terms is None else terms, b"payload", until)
    journal.go(run, 60)
    journal.ended(run, JournalState.ENDED, EVIDENCE, 7)
    journal.settle(run)


def covers(journal: Journal, not_before: datetime, not_after: datetime) -> bool:
    terms = replace(TERMS, not_before=not_before, not_after=not_after)
    return journal.horizon is not None and journal.horizon.covers(terms)


def test_what_a_leap_of_the_servers_time_had_forgotten_is_behind_the_horizon(path: Path) -> None:
    journal = Journal(path)
    settle(journal, "a")
    assert not covers(journal, RELEASED, UNTIL)

    journal.forget(FAR)

    assert "a" not in journal.tombstones
    assert covers(journal, RELEASED, UNTIL)


@pytest.mark.parametrize(
    ("released_later", "ends_later"),
    [(timedelta(microseconds=1), -timedelta(days=29)), (timedelta(0), timedelta(microseconds=1))],
)
def test_what_was_released_later_or_may_start_later_is_beyond_it(
    path: Path, released_later: timedelta, ends_later: timedelta
) -> None:
    journal = Journal(path)
    settle(journal, "a")
    journal.forget(FAR)

    assert not covers(journal, RELEASED + released_later, UNTIL + ends_later)


def test_it_outlives_reopening_before_and_after_the_journal_is_compacted(path: Path) -> None:
    journal = Journal(path)
    settle(journal, "a")
    journal.forget(FAR)
    journal.close()

    whole = Journal(path, max_bytes=1)
    assert "a" in whole.tombstones
    whole.forget(FAR)
    settle(whole, "b", until=UNTIL - timedelta(days=1))
    whole.close()
    compacted = Journal(path)

    assert set(compacted.tombstones) == {"b"}
    assert not compacted.damaged
    assert covers(compacted, RELEASED, UNTIL)
    compacted.forget(FAR)
    assert compacted.horizon == Horizon(RELEASED, UNTIL)


def test_of_terms_that_cannot_be_read_all_up_to_their_last_start_is_behind_it(path: Path) -> None:
    journal = Journal(path)
    settle(journal, "a", b"terms")
    journal.forget(FAR)

    assert journal.horizon == Horizon(UNTIL, UNTIL)


def test_a_journal_of_before_there_was_a_horizon_is_read(path: Path) -> None:
    journal = Journal(path)
    settle(journal, "a")
    record = journals._tombstone_record(journal.tombstones["a"])
    del record["not_before"]
    journal.close()
    path.write_bytes(journals._line(record))

    old = Journal(path)
    old.forget(FAR)

    assert not old.damaged
    assert old.horizon == Horizon(UNTIL, UNTIL)


def test_an_agent_that_knows_no_horizon_keeps_it_as_a_tombstone(path: Path) -> None:
    """It reads one of a run that is none, and writes what it knows of that when it compacts."""
    journal = Journal(path)
    settle(journal, "a")
    journal.forget(FAR)
    [record] = journal._essence()
    assert record["do"] == "tombstone"
    del record["not_before"]
    journal.close()
    path.write_bytes(journals._line(record))

    again = Journal(path)

    assert not again.damaged
    assert not again.tombstones
    assert again.horizon == Horizon(UNTIL, UNTIL)


async def test_signed_terms_that_ran_do_not_run_again_after_a_leap_of_time(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    """As whoever has the server's end of the line could have it: a day far ahead, and the day it is."""
    file = tmp_path / "ran"
    run = await server.do({"command": f"echo ran >> {file}"})
    await server.ended(run)
    await remembered(server, run)

    server.time_shift = timedelta(days=365)
    await server.reconnected(server.cut)
    await forgotten(server, run)
    server.time_shift = timedelta()
    await server.send(HeartbeatAck(server.now, (), True))
    await server.grant(run)

    assert (await server.refused(run)).code is RejectCode.TOO_LATE
    fresh = await server.do({"command": f"echo ran >> {file}"})
    assert (await server.ended(fresh)).outcome is Outcome.SUCCEEDED
    assert file.read_text().count("ran") == 2


async def test_a_session_that_lasts_forgets_as_well(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    enrolled.patience["client._TIDY_SECONDS"] = 0.05
    await enrolled.start()
    run = await server.do({"command": "exit 0"})
    await server.ended(run)
    await remembered(server, run)

    server.time_shift = timedelta(days=8)
    await forgotten(server, run)

    assert server.connections == 1


async def remembered(server: FakeServer, run: Run) -> None:
    await until_told(server, run, {run.id: JournalState.ENDED})


async def forgotten(server: FakeServer, run: Run) -> None:
    await until_told(server, run, {})


async def until_told(server: FakeServer, run: Run, wanted: dict[str, JournalState]) -> None:
    """Asks what the device knows of the run until that is the answer."""

    def is_it() -> bool:
        answers = server.frames(Recalled)
        return bool(answers) and {one.run: one.state for one in answers[-1].journal} == wanted

    server.seen = [frame for frame in server.seen if not isinstance(frame, Recalled)]
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not is_it():
            asked = len(server.frames(Recalled))
            await server.send(Recall((run.id,)))
            await eventually(lambda count=asked: len(server.frames(Recalled)) > count)
