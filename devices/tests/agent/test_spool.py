"""The spool gives back what was put in, and counts exactly what it had no room for."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.agent import durable, outlet, spool
from devices.agent.spool import Chunk, SpoolReader, SpoolWriter

ROOMY = 64 * 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def reader(path: Path) -> Iterator[SpoolReader]:
    reader = SpoolReader(path)
    yield reader
    reader.close()


def test_what_was_written_is_there_though_nobody_got_to_read_it(
    path: Path, reader: SpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readers of a shim that is off the processor: what a command wrote before it ended counts."""
    go_on = threading.Event()
    monkeypatch.setattr(outlet, "wait_for_data", lambda _source: go_on.wait())
    monkeypatch.setattr(outlet, "_DRAIN_SECONDS", 0.0)
    writer = SpoolWriter(path, ROOMY)
    way = outlet.Outlet(writer)
    left_open = os.dup(way.ends[0].fileno())
    way.ends[0].write(b"out" * 5_000)
    way.ends[1].write(b"err" * 5_000)
    way.drain()
    os.write(left_open, b"afterwards")
    writer.close()
    go_on.set()
    os.close(left_open)
    chunks = everything(reader)
    found = {
        stream: b"".join(one.data for one in chunks if one.stream == stream)
        for stream in ("stdout", "stderr")
    }
    assert found == {"stdout": b"out" * 5_000, "stderr": b"err" * 5_000}
    assert (writer.end, writer.length) == (30_000, 30_000)


def everything(reader: SpoolReader, at_most: int = 1000) -> list[Chunk]:
    chunks = []
    while (chunk := reader.read(at_most)) is not None:
        chunks.append(chunk)
    return chunks


def segments(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if len(one.name) == 16)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_streams_come_back_in_the_order_they_were_read(path: Path, reader: SpoolReader) -> None:
    writer = SpoolWriter(path, ROOMY)
    for stream, data in (("stdout", b"a"), ("stdout", b"b"), ("stderr", b"cc"), ("stdout", b"d")):
        writer.append(stream, data)
    writer.close()

    assert everything(reader) == [
        Chunk(0, "stdout", b"ab"),
        Chunk(2, "stderr", b"cc"),
        Chunk(4, "stdout", b"d"),
    ]


def test_it_is_read_while_it_is_written(path: Path, reader: SpoolReader) -> None:
    assert reader.read(10) is None
    writer = SpoolWriter(path, ROOMY)

    writer.append("stdout", b"one")
    assert reader.read(10) == Chunk(0, "stdout", b"one")
    assert (reader.read(10), reader.available()) == (None, 0)
    writer.append("stdout", b"two")
    assert reader.read(10) == Chunk(3, "stdout", b"two")
    writer.close()


def test_past_its_size_the_newest_are_kept_and_the_gap_is_exact(
    path: Path, reader: SpoolReader
) -> None:
    data = noise(500_000)
    writer = SpoolWriter(path, 64_000)
    for begin in range(0, len(data), 777):
        writer.append("stdout", data[begin : begin + 777])
    writer.close()

    chunks = everything(reader)
    [gap] = [chunk for chunk in chunks if chunk.skipped]

    assert writer.end == len(data)
    assert chunks[-1].end == len(data)
    assert all(chunk.data == data[chunk.offset : chunk.end] for chunk in chunks)
    held = sum(len(chunk.data) for chunk in chunks)
    assert held + gap.skipped == len(data)
    assert 55_000 < held <= 64_000
    assert data.endswith(chunks[-1].data)


def test_a_full_disk_costs_the_middle_and_nothing_else(
    path: Path, reader: SpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SpoolWriter(path, 8_000)
    writer.append("stdout", b"first")

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_all", full)
        writer.append("stdout", b"x" * 3_000)
        writer.append("stdout", b"last")
    writer.close()

    chunks = everything(reader, 10_000)

    assert chunks[0] == Chunk(0, "stdout", b"first")
    assert (chunks[1].offset, chunks[1].skipped) == (5 + 2_004, 2_004)
    assert chunks[1].data == b"x" * 996 + b"last"


@pytest.mark.parametrize("size", [ROOMY, 64_000])
def test_it_can_be_read_from_anywhere(path: Path, reader: SpoolReader, size: int) -> None:
    data = noise(600_000)
    writer = SpoolWriter(path, size)
    for begin in range(0, len(data), 5_000):
        writer.append(("stdout", "stderr")[begin % 3 == 0], data[begin : begin + 5_000])
    writer.close()
    everything(reader)

    for offset in (0, 1, 4_999, 5_000, 56_000, 70_000, 300_001, 599_999, 600_000):
        reader.seek(offset)
        chunks = everything(reader, 100_000)
        got = sum(len(chunk.data) + chunk.skipped for chunk in chunks)
        assert got == len(data) - offset
        assert all(chunk.data == data[chunk.offset : chunk.end] for chunk in chunks)


def test_the_summary_is_over_the_bytes_it_holds(path: Path, reader: SpoolReader) -> None:
    data = noise(100_000)
    writer = SpoolWriter(path, ROOMY)
    writer.append("stdout", data)
    writer.close()
    reader.read(100)
    reader.seek(50)

    assert reader.summary() == (len(data), hashlib.sha256(data).hexdigest())


def test_what_a_crash_cut_off_is_not_there(path: Path, reader: SpoolReader) -> None:
    writer = SpoolWriter(path, ROOMY)
    writer.append("stdout", b"whole")
    writer.append("stdout", b"torn")
    writer.close()
    [segment] = segments(path)
    segment.write_bytes(segment.read_bytes()[:-1])

    assert [chunk.data for chunk in everything(reader)] == [b"whole"]


def test_nothing_is_written_once_it_is_closed(path: Path, reader: SpoolReader) -> None:
    writer = SpoolWriter(path, ROOMY)
    writer.append("stdout", b"in time")
    writer.close()

    writer.append("stdout", b"late")

    assert [chunk.data for chunk in everything(reader)] == [b"in time"]
    assert writer.end == 7


def test_streams_that_take_turns_quickly_are_slowed_down(path: Path) -> None:
    writer = SpoolWriter(path, ROOMY)

    pauses = [writer.append(("stdout", "stderr")[n % 2], b".") for n in range(200)]
    writer.close()

    assert pauses[:40] == [0.0] * 40
    assert pauses[-1] > 0


def test_what_the_server_has_makes_room_for_more(path: Path, reader: SpoolReader) -> None:
    data = noise(1_000_000)
    writer = SpoolWriter(path, 64_000)
    got = b""
    for begin in range(0, len(data), 1_000):
        writer.append("stdout", data[begin : begin + 1_000])
        while (chunk := reader.read(100_000)) is not None:
            assert not chunk.skipped
            got += chunk.data
        reader.release(reader.offset)
    writer.close()

    assert got == data
    assert (writer.length, writer.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sum(one.stat().st_size for one in segments(path)) < 10_000


def test_once_there_is_room_again_it_goes_on_with_what_it_held_and_marks_the_rest(
    path: Path, reader: SpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_LOOK_SECONDS", 0.0)
    data = noise(400_000)
    writer = SpoolWriter(path, 64_000)
    for begin in range(0, 200_000, 1_000):
        writer.append("stdout", data[begin : begin + 1_000])
    early = everything(reader, 1_000)
    reader.release(reader.offset)
    for begin in range(200_000, 220_000, 1_000):
        writer.append("stdout", data[begin : begin + 1_000])
    [gap, *live] = everything(reader, 1_000)
    writer.close()

    assert gap.offset - gap.skipped == early[-1].end
    assert gap.offset == 201_000 - 8_000
    assert live[-1].end == writer.end == 220_000
    assert all(chunk.data == data[chunk.offset : chunk.end] for chunk in [gap, *live])


def test_from_before_what_was_released_the_rest_is_skipped(path: Path, reader: SpoolReader) -> None:
    data = noise(50_000)
    writer = SpoolWriter(path, 64_000)
    for begin in range(0, len(data), 500):
        writer.append("stdout", data[begin : begin + 500])
    writer.close()
    reader.release(30_000)
    reader.seek(100)

    chunk = reader.read(1_000)

    assert chunk is not None
    assert (chunk.offset - chunk.skipped, chunk.skipped > 20_000) == (100, True)
    assert chunk.data == data[chunk.offset : chunk.end]


@pytest.mark.parametrize("missing", [0, 3, -1])
def test_a_segment_that_is_missing_is_a_gap(path: Path, reader: SpoolReader, missing: int) -> None:
    data = noise(50_000)
    writer = SpoolWriter(path, 64_000)
    for begin in range(0, len(data), 500):
        writer.append("stdout", data[begin : begin + 500])
    writer.close()
    segments(path)[missing].unlink()

    chunks = everything(reader)

    assert all(chunk.data == data[chunk.offset : chunk.end] for chunk in chunks)
    assert sum(chunk.skipped + len(chunk.data) for chunk in chunks) == chunks[-1].end
    assert (chunks[-1].end == len(data)) == (missing != -1)
    assert reader.survey()[2] == (missing == -1)


def test_a_disk_that_gets_room_again_is_written_to_again(
    path: Path, reader: SpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_RETRY_SECONDS", 0.0)
    writer = SpoolWriter(path, 80_000)
    writer.append("stdout", b"first")

    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:7])
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_all", full)
        writer.append("stdout", b"held")
    writer.append("stdout", b"and on")

    assert everything(reader) == [Chunk(0, "stdout", b"firstheldand on")]
    writer.close()


def test_a_spool_that_is_taken_away_does_not_stop_the_writer(path: Path) -> None:
    writer = SpoolWriter(path, 64_000)
    writer.append("stdout", b"x" * 5_000)
    shutil.rmtree(path)
    for _ in range(100):
        writer.append("stdout", b"y" * 1_000)
    writer.close()

    assert writer.end == 105_000
