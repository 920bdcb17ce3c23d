"""The journal keeps what it was told through crashes, and says so when it cannot."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devices.agent import journal as journals
from devices.agent.journal import Journal, JournalFailed, JournalFull, ShimMark
from devices.agent.protocol import Evidence, JournalState, JsonObject, Outcome, ProtocolError

UNTIL = datetime(2027, 1, 31, tzinfo=UTC)
EVIDENCE = Evidence(Outcome.SUCCEEDED, 0, {"summary": "exit code 0"}, 5, "ab" * 32)
MARK = ShimMark(4711, "123456", "boot")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def through_its_life(journal: Journal, run: str, *, settled: bool = True) -> None:
    journal.claim(run, b"terms", b"payload", UNTIL)
    journal.go(run, 60)
    journal.spawned(run, MARK)
    journal.ended(run, JournalState.ENDED, EVIDENCE, 7)
    if settled:
        journal.settle(run)


def reopened(journal: Journal, path: Path) -> Journal:
    journal.close()
    return Journal(path)


def test_every_step_is_found_again_after_a_restart(path: Path) -> None:
    journal = Journal(path)

    claimed = reopened_entry(journal.claim("a", b"terms", b"payload", UNTIL).run, journal, path)
    assert (claimed.state, claimed.terms, claimed.payload, claimed.not_after) == (
        JournalState.CLAIMED,
        b"terms",
        b"payload",
        UNTIL,
    )
    journal.go("a", 60)
    gone = reopened_entry("a", journal, path)
    assert (gone.state, gone.timeout_seconds, gone.shim) == (JournalState.GO, 60, None)
    journal.spawned("a", MARK)
    assert reopened_entry("a", journal, path).shim == MARK
    journal.ended("a", JournalState.UNKNOWN, EVIDENCE, 7)
    over = reopened_entry("a", journal, path)
    assert (over.state, over.evidence, over.output_end) == (JournalState.UNKNOWN, EVIDENCE, 7)


def reopened_entry(run: str, journal: Journal, path: Path) -> journals.Entry:
    return Journal(path, is_only_read=True).entries[run]


def test_a_settled_run_is_a_tombstone_with_its_result(path: Path) -> None:
    journal = Journal(path)
    through_its_life(journal, "a")

    stone = reopened(journal, path).tombstones["a"]

    assert (stone.state, stone.evidence, stone.not_after) == (JournalState.ENDED, EVIDENCE, UNTIL)


def test_an_erased_claim_leaves_nothing(path: Path) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    journal.erase("a")

    again = reopened(journal, path)

    assert not again.entries
    assert not again.tombstones


def test_tombstones_are_kept_until_a_week_after_the_last_possible_start(path: Path) -> None:
    journal = Journal(path)
    through_its_life(journal, "a")

    journal.forget(UNTIL + timedelta(days=7))
    assert "a" in journal.tombstones
    journal.forget(UNTIL + timedelta(days=7, seconds=1))
    assert "a" not in journal.tombstones


def test_a_torn_tail_is_cut_wherever_it_tore(path: Path) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    before = path.stat().st_size
    journal.go("a", 60)
    journal.close()
    whole = path.read_bytes()

    for length in range(before, len(whole)):
        path.write_bytes(whole[:length])
        torn = Journal(path)
        assert not torn.damaged
        assert torn.entries["a"].state is JournalState.CLAIMED
        torn.go("a", 60)
        assert path.read_bytes() == whole
        torn.close()


def test_a_bad_byte_anywhere_is_noticed_and_later_lines_are_read(path: Path) -> None:
    journal = Journal(path)
    for run in "abc":
        through_its_life(journal, run, settled=False)
    journal.close()
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1

    for place in range(second, whole.index(b"\n", second)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x04
        path.write_bytes(flipped)
        found = Journal(path)
        assert found.damaged, place
        assert found.entries["c"].state is JournalState.ENDED
        found.close()


def test_a_bad_last_line_that_was_whole_is_damage_not_a_torn_tail(path: Path) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    journal.go("a", 60)
    journal.close()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)

    assert Journal(path).bad_lines == [2]


def test_a_run_whose_claim_was_lost_still_counts_as_started(path: Path) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    journal.go("a", 60)
    journal.close()
    data = path.read_bytes()
    path.write_bytes(b"x" + data[1:])

    found = Journal(path)

    assert found.damaged
    assert found.entries["a"].state is JournalState.GO
    assert found.entries["a"].terms is None


def test_it_is_compacted_to_what_still_matters(path: Path) -> None:
    kept_whole = path.with_name("whole")
    for journal in (Journal(kept_whole), Journal(path, max_bytes=6_000)):
        through_its_life(journal, "running", settled=False)
        for number in range(30):
            through_its_life(journal, f"run-{number}")
            for _ in range(3):
                journal.claim("again", b"t" * 100, b"p" * 100, UNTIL)

    again = reopened(journal, path)

    assert path.stat().st_size < kept_whole.stat().st_size / 2
    assert len(again.tombstones) == 30
    assert again.entries["running"].evidence == EVIDENCE
    assert again.entries["running"].shim == MARK
    assert again.entries["again"].payload == b"p" * 100


def test_a_damaged_journal_is_left_as_it_was_found(path: Path) -> None:
    journal = Journal(path)
    through_its_life(journal, "a")
    journal.close()
    data = b"x" + path.read_bytes()[1:]
    path.write_bytes(data)

    found = Journal(path, max_bytes=100)
    through_its_life(found, "b")

    assert path.read_bytes().startswith(data)


def test_compaction_leaves_the_old_file_until_the_new_one_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path, max_bytes=1)

    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("devices.agent.durable.os.replace", fail)
    through_its_life(journal, "a")

    assert "a" in reopened(journal, path).tombstones


def test_without_room_the_line_is_taken_back_and_the_journal_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    before = path.read_bytes()

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr("devices.agent.durable.write_all", half)
        with pytest.raises(JournalFull):
            journal.go("a", 60)

    assert path.read_bytes() == before
    assert journal.entries["a"].state is JournalState.CLAIMED
    journal.go("a", 60)
    assert reopened(journal, path).entries["a"].state is JournalState.GO


@pytest.mark.parametrize("detail", [{"summary": "x" * 20_000}, {"summary": "a\0b"}])
def test_what_could_not_be_read_again_is_not_written(path: Path, detail: JsonObject) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    before = path.read_bytes()

    with pytest.raises(ProtocolError):
        journal.ended("a", JournalState.ENDED, replace(EVIDENCE, detail=detail), 7)

    assert path.read_bytes() == before
    assert journal.entries["a"].state is JournalState.CLAIMED


def test_a_failed_fsync_ends_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr("devices.agent.journal.os.fsync", fail)

    with pytest.raises(JournalFailed):
        journal.claim("a", b"terms", b"payload", UNTIL)


def test_a_reader_leaves_a_line_that_is_being_written_alone(path: Path) -> None:
    journal = Journal(path)
    journal.claim("a", b"terms", b"payload", UNTIL)
    data = path.read_bytes() + b"half a li"
    path.write_bytes(data)

    reader = Journal(path, is_only_read=True)

    assert list(reader.entries) == ["a"]
    assert path.read_bytes() == data


def test_only_the_agent_itself_may_read_it(path: Path) -> None:
    Journal(path)

    assert path.stat().st_mode & 0o777 == 0o600
