"""What the ledger keeps of output: in order, without holes or marked, never more than the limit."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from devices.ledger_port import RunOutput
from devices.models import Device
from scheduling import ledger
from scheduling.ledger import budget
from scheduling.models import DeviceRun, OutputChunk, OutputGap
from scheduling.tests import factories


@pytest.fixture
def run(admin: User, web_device: Device) -> DeviceRun:
    return factories.run(factories.execution(factories.task(admin)), web_device, status="running")


def send(run: DeviceRun, *frames: tuple[int, bytes] | tuple[int, bytes, int]) -> int:
    """Sends frames (offset, data, skipped) in one batch; where the agent is to go on."""
    assert run.device_id is not None
    given = [
        RunOutput(run.device_id, run.pk, offset, "stdout", data, *skipped)
        for offset, data, *skipped in frames
    ]
    (answer,) = ledger.output(given)
    run.refresh_from_db()
    return answer.next


def kept(run: DeviceRun) -> list[tuple[int, bytes]]:
    chunks = OutputChunk.objects.filter(run=run).order_by("offset")
    return [(chunk.offset, bytes(chunk.data)) for chunk in chunks]


def gaps(run: DeviceRun) -> list[tuple[int, int]]:
    return list(OutputGap.objects.filter(run=run).order_by("offset").values_list("offset", "bytes"))


def test_frames_that_follow_are_appended(run: DeviceRun) -> None:
    assert send(run, (0, b"abc"), (3, b"de")) == 5
    assert send(run, (5, b"f")) == 6
    assert kept(run) == [(0, b"abc"), (3, b"de"), (5, b"f")]
    assert (run.output_next, run.output_kept, run.output_truncated) == (6, 6, False)


@pytest.mark.parametrize(
    ("offset", "data", "added"),
    [(0, b"abc", []), (1, b"b", []), (1, b"bcde", [(3, b"de")]), (0, b"abcd", [(3, b"d")])],
)
def test_a_repeat_is_cut_or_ignored(
    run: DeviceRun, offset: int, data: bytes, added: list[tuple[int, bytes]]
) -> None:
    send(run, (0, b"abc"))
    assert send(run, (offset, data)) == 3 + sum(len(one) for _, one in added)
    assert kept(run) == [(0, b"abc"), *added]


def test_a_frame_beyond_the_end_is_refused_and_told_where_to_go_on(run: DeviceRun) -> None:
    send(run, (0, b"abc"))
    assert send(run, (5, b"fg")) == 3
    assert send(run, (3, b"de"), (5, b"fg")) == 7
    assert gaps(run) == []


def test_a_jump_that_says_so_is_marked_exactly(run: DeviceRun) -> None:
    send(run, (0, b"abc"))
    assert send(run, (10, b"xyz", 7)) == 13
    assert gaps(run) == [(3, 7)]
    assert run.output_truncated


def test_a_jump_that_does_not_reach_back_to_the_end_is_refused(run: DeviceRun) -> None:
    send(run, (0, b"abc"))
    assert send(run, (10, b"xyz", 5)) == 3
    assert gaps(run) == []


def test_a_jump_over_what_is_here_in_part_marks_only_the_rest(run: DeviceRun) -> None:
    send(run, (0, b"abcdef"))
    assert send(run, (10, b"xyz", 7)) == 13
    assert gaps(run) == [(6, 4)]


def test_a_repeated_jump_changes_nothing(run: DeviceRun) -> None:
    for _number in range(2):
        assert send(run, (10, b"xyz", 10)) == 13
    assert gaps(run) == [(0, 10)]
    assert kept(run) == [(10, b"xyz")]


@pytest.mark.parametrize("status", ["claimed", "running", "lost"])
def test_output_is_taken_from_whatever_may_still_be_running(
    admin: User, web_device: Device, status: str
) -> None:
    run = factories.run(factories.execution(factories.task(admin)), web_device, status=status)
    assert send(run, (0, b"abc")) == 3


@pytest.mark.parametrize("status", ["queued", "succeeded", "skipped", "cancelled"])
def test_from_any_other_it_is_not(admin: User, web_device: Device, status: str) -> None:
    run = factories.run(factories.execution(factories.task(admin)), web_device, status=status)
    assert send(run, (0, b"abc")) == 0
    assert kept(run) == []


def test_another_devices_output_is_not_taken(run: DeviceRun) -> None:
    thief = factories.device()
    (answer,) = ledger.output([RunOutput(thief.pk, run.pk, 0, "stdout", b"abc")])
    assert (answer.device, answer.next) == (thief.pk, -1)
    assert kept(run) == []


def test_a_batch_of_many_runs_is_answered_for_each(run: DeviceRun, admin: User) -> None:
    other = factories.run(factories.execution(factories.task(admin)), status="running")
    assert run.device_id is not None
    assert other.device_id is not None
    answers = ledger.output(
        [
            RunOutput(run.device_id, run.pk, 0, "stdout", b"ab"),
            RunOutput(other.device_id, other.pk, 0, "stderr", b"xyz"),
            RunOutput(run.device_id, run.pk, 2, "stderr", b"c"),
        ]
    )
    assert {one.run: one.next for one in answers} == {run.pk: 3, other.pk: 3}
    streams = OutputChunk.objects.filter(run=run).order_by("offset")
    assert [chunk.stream for chunk in streams] == ["stdout", "stderr"]


@pytest.fixture
def small_limit(settings: Any) -> None:
    settings.DEPLOYX_OUTPUT_BYTES_PER_RUN = 100
    settings.DEPLOYX_OUTPUT_HEAD_BYTES = 20


def test_past_the_limit_the_middle_goes_and_is_counted_exactly(
    run: DeviceRun, small_limit: None
) -> None:
    for number in range(30):
        send(run, (number * 10, b"%010d" % number))
    assert (run.output_next, run.output_kept, run.output_truncated) == (300, 100, True)
    assert gaps(run) == [(20, 200)]
    assert [offset for offset, _data in kept(run)] == [0, 10, *range(220, 300, 10)]


def test_one_large_batch_is_cut_down_as_well(run: DeviceRun, small_limit: None) -> None:
    send(run, *[(number * 10, b"%010d" % number) for number in range(30)])
    assert sum(len(data) for _offset, data in kept(run)) == run.output_kept == 100
    assert sum(length for _offset, length in gaps(run)) == 200


def test_what_is_kept_and_what_is_dropped_make_up_all_that_was_written(
    run: DeviceRun, small_limit: None
) -> None:
    send(run, (0, b"a" * 25), (25, b"b" * 33), (70, b"c" * 40, 12), (110, b"d" * 50), (160, b"e"))
    pieces = sorted([(at, len(data)) for at, data in kept(run)] + gaps(run))
    assert sum(length for _at, length in pieces) == run.output_next == 161
    ends = [at + length for at, length in pieces]
    assert [at for at, _length in pieces] == [0, *ends[:-1]]
    assert run.output_kept <= 100


def test_the_cost_of_a_batch_does_not_grow_with_what_was_dropped(
    run: DeviceRun, small_limit: None
) -> None:
    numbers = []
    for batch in range(20):
        frames = [((batch * 10 + n) * 10, b"%010d" % n) for n in range(10)]
        with CaptureQueriesContext(connection) as asked:
            send(run, *frames)
        numbers.append(len(asked))
        assert not any('"data" FROM' in one["sql"] for one in asked.captured_queries)
    assert len(set(numbers[2:])) == 1
    assert numbers[-1] <= 12
    assert gaps(run) == [(20, 1_900)]


def test_a_gap_of_the_devices_grows_together_with_ours(run: DeviceRun, small_limit: None) -> None:
    send(run, (0, b"a" * 20), (20, b"b" * 20), (50, b"c" * 20, 10), (70, b"d" * 60))
    assert gaps(run) == [(20, 30)]
    send(run, (130, b"e" * 60))
    assert gaps(run) == [(20, 110)]
    assert kept(run) == [(0, b"a" * 20), (130, b"e" * 60)]
    assert run.dropped_bytes == 110


def test_an_execution_that_has_its_fill_gives_each_run_a_little_and_the_newest(
    run: DeviceRun, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEPLOYX_OUTPUT_BYTES_PER_EXECUTION = 150
    monkeypatch.setattr(budget, "AFTERWARDS_PER_RUN", 40)
    monkeypatch.setattr(budget, "LOOK_EVERY_SECONDS", -1.0)
    send(run, *[(n * 10, b"%010d" % n) for n in range(15)])
    other = factories.run(run.execution, status="running")
    for number in range(10):
        send(other, (number * 10, b"%010d" % number))
        send(run, (150 + number * 10, b"x" * 10))
    assert (other.output_kept, other.output_next, other.output_truncated) == (40, 100, True)
    assert kept(other)[-1] == (90, b"%010d" % 9)
    assert (run.output_kept, run.output_next, run.output_truncated) == (150, 250, True)
    assert kept(run)[-1] == (240, b"x" * 10)


def test_another_execution_has_its_own(run: DeviceRun, admin: User, settings: Any) -> None:
    settings.DEPLOYX_OUTPUT_BYTES_PER_EXECUTION = 10
    send(run, (0, b"a" * 20))
    other = factories.run(factories.execution(factories.task(admin)), status="running")
    send(other, (0, b"a" * 20))
    assert other.output_truncated is False


@pytest.mark.parametrize("seed", range(5))
def test_frames_that_are_lost_doubled_and_reordered_come_to_what_was_sent(
    run: DeviceRun, seed: int
) -> None:
    """The other end does what an agent does: goes on where the answer says, and sends again."""
    chance = random.Random(seed)
    written = chance.randbytes(3_000)
    dropped = (1_000, 400)
    frames = [(at, written[at : at + 70], 0) for at in range(0, 1_000, 70)]
    frames[-1] = (980, written[980:1_000], 0)
    frames += [(1_400, written[1_400:1_450], 400)]
    frames += [(at, written[at : at + 70], 0) for at in range(1_450, 3_000, 70)]
    while run.output_next < len(written):
        left = [one for one in frames if one[0] + len(one[1]) > run.output_next]
        batch = [one for one in left[:6] if chance.random() > 0.2]
        batch += chance.sample(frames, 2)
        chance.shuffle(batch)
        answer = send(run, *batch)
        assert answer == run.output_next
    assert gaps(run) == [dropped]
    assert b"".join(data for _at, data in kept(run)) == written[:1_000] + written[1_400:]
    assert run.output_sent == run.output_kept == 2_600
