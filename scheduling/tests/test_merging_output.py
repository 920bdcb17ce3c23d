"""Output of ended runs takes few rows, and nobody who reads notices."""

from __future__ import annotations

import hashlib
import random

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from structlog.testing import capture_logs

from devices.models import Device
from scheduling import ledger, merging, outputs, reconcile
from scheduling.models import DeviceRun, OutputChunk, OutputGap
from scheduling.tests import factories


@pytest.fixture
def run(admin: User, web_device: Device) -> DeviceRun:
    return factories.run(factories.execution(factories.task(admin)), web_device, status="running")


def end(run: DeviceRun, data: bytes | None = None) -> None:
    digest = hashlib.sha256(outputs.read(run).data if data is None else data).hexdigest()
    ledger.results([factories.result_of(run, output_length=run.output_sent, output_sha256=digest)])
    run.refresh_from_db()


def chunks(run: DeviceRun) -> list[tuple[int, str, int]]:
    rows = OutputChunk.objects.filter(run=run).order_by("offset")
    return [(row.offset, row.stream, len(row.data)) for row in rows]


def test_pieces_become_chunks_of_up_to_256_kib(run: DeviceRun) -> None:
    data = random.Random(1).randbytes(600_000)
    for start in range(0, len(data), 30_000):
        factories.write_output(run, data[start : start + 30_000])
    end(run, data)
    assert merging.merge_some() == 1
    assert [length for *_, length in chunks(run)] == [240_000, 240_000, 120_000]
    assert b"".join(one.data for one in outputs.pieces(run, 0, len(data))) == data
    assert merging.merge_some() == 0


def test_streams_and_gaps_stay_apart(run: DeviceRun) -> None:
    for stream in ("stdout", "stdout", "stderr", "stdout"):
        factories.write_output(run, b"x" * 10, stream=stream)
    OutputGap.objects.create(run=run, offset=40, bytes=5)
    DeviceRun.objects.filter(pk=run.pk).update(output_next=45)
    for _number in range(2):
        factories.write_output(run, b"y" * 10)
    before = outputs.read(run).text
    end(run)
    merging.merge_some()
    assert chunks(run) == [
        (0, "stdout", 20),
        (20, "stderr", 10),
        (30, "stdout", 10),
        (45, "stdout", 20),
    ]
    assert outputs.read(run).text == before


@pytest.mark.parametrize("offset", [0, 1, 15, 29, 30, 31, 300, 599])
def test_it_reads_the_same_from_anywhere(run: DeviceRun, offset: int) -> None:
    for number in range(20):
        factories.write_output(
            run, b"%029d\n" % number, stream=("stdout", "stderr")[number % 7 == 0]
        )
    end(run)
    before = outputs.read(run, offset=offset, limit=100)
    merging.merge_some()
    assert outputs.read(run, offset=offset, limit=100) == before


def test_what_still_runs_is_left_alone(run: DeviceRun) -> None:
    factories.write_output(run, b"a")
    assert merging.merge_some() == 0


def test_what_is_written_after_the_end_of_a_lost_run_is_merged_in_turn(run: DeviceRun) -> None:
    factories.write_output(run, b"a")
    DeviceRun.objects.filter(pk=run.pk).move("lost", finished_at=run.started_at, was_lost=True)
    assert merging.merge_some() == 1
    factories.write_output(run, b"b")
    assert merging.merge_some() == 1
    assert chunks(run) == [(0, "stdout", 2)]


def test_reconcile_does_it(run: DeviceRun) -> None:
    factories.write_output(run, b"a")
    end(run)
    assert reconcile.round_of_all()["merge_some"] == 1


def test_output_that_is_what_its_device_sent_is_marked_so(run: DeviceRun) -> None:
    factories.write_output(run, b"a")
    factories.write_output(run, b"b", stream="stderr")
    end(run, b"ab")
    merging.merge_some()
    run.refresh_from_db()
    assert run.is_output_verified is True


def test_output_that_is_not_is_an_alarm(run: DeviceRun) -> None:
    factories.write_output(run, b"ab")
    end(run, b"xy")
    with capture_logs() as logs:
        merging.merge_some()
    run.refresh_from_db()
    assert run.is_output_verified is False
    assert [log["run"] for log in logs if log["event"] == "output_differs"] == [str(run.pk)]


def test_what_was_dropped_here_cannot_be_compared(run: DeviceRun) -> None:
    factories.write_output(run, b"ab")
    ledger.results([factories.result_of(run, output_length=5, output_sha256="0" * 64)])
    merging.merge_some()
    run.refresh_from_db()
    assert (run.is_output_verified, run.output_next, run.dropped_bytes) == (None, 5, 3)


def test_the_next_to_merge_are_found_by_their_index(run: DeviceRun) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        merging.merge_some()
    query = asked.captured_queries[0]["sql"]
    with connection.cursor() as cursor:
        # Of a table of one page the planner takes any way, as long as it may.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "run_output_loose" in plan
    assert "Sort" not in plan


def test_who_pages_through_it_meanwhile_misses_nothing(run: DeviceRun) -> None:
    data = random.Random(2).randbytes(50_000)
    for start in range(0, len(data), 700):
        factories.write_output(run, data[start : start + 700])
    end(run, data)
    read, offset = b"", 0
    while not (part := outputs.read(run, offset=offset, limit=3_001)).finished:
        read, offset = read + part.data, part.next_offset
        merging.merge_some()
    assert read + part.data == data
