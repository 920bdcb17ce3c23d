"""The spool gives back what was put in, and counts exactly what it had no room for."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.agent import durable
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


def everything(reader: SpoolReader, at_most: int = 1000) -> list[Chunk]:
    chunks = []
    while (chunk := reader.read(at_most)) is not None:
        chunks.append(chunk)
    return chunks


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
    path.write_bytes(path.read_bytes()[:-1])

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
