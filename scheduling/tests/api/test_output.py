"""The output of a run, by offset, by stream, and as the bytes it was."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from scheduling import outputs
from scheduling.models import DeviceRun, OutputChunk, OutputGap
from scheduling.tests import factories
from scheduling.tests.api.conftest import address


def test_it_is_read_piece_by_piece(api: APIClient, run: DeviceRun) -> None:
    factories.write_output(run, b"one\n")
    first = api.get(address(run, "output")).json()
    assert first == {
        "next_offset": 4, "finished": False, "truncated": False, "dropped_bytes": 0, "gaps": [],
        "text": "one\n",
    }  # fmt: skip
    factories.write_output(run, b"two\n")
    second = api.get(address(run, f"output?offset={first['next_offset']}")).json()
    assert (second["text"], second["next_offset"]) == ("two\n", 8)


def test_it_is_finished_when_the_run_has_ended_and_all_is_read(
    api: APIClient, run: DeviceRun
) -> None:
    factories.write_output(run, b"all\n")
    DeviceRun.objects.filter(pk=run.pk).move("succeeded", finished_at=run.started_at)
    assert api.get(address(run, "output")).json()["finished"] is True


def test_one_stream_alone_keeps_the_offsets_of_both(api: APIClient, run: DeviceRun) -> None:
    factories.write_output(run, b"out")
    factories.write_output(run, b"err", stream="stderr")
    shown = api.get(address(run, "output?stream=stderr")).json()
    assert (shown["text"], shown["next_offset"]) == ("err", 6)


def test_no_character_is_split(api: APIClient, run: DeviceRun) -> None:
    factories.write_output(run, "né".encode()[:2])
    shown = api.get(address(run, "output")).json()
    assert (shown["text"], shown["next_offset"]) == ("n", 1)
    factories.write_output(run, "é".encode()[1:])
    assert api.get(address(run, "output?offset=1")).json()["text"] == "é"


def test_what_is_no_utf8_shows_as_a_replacement_and_a_gap_as_its_size(
    api: APIClient, run: DeviceRun
) -> None:
    OutputChunk.objects.create(run=run, offset=0, stream="stdout", data=b"a\xffb")
    OutputGap.objects.create(run=run, offset=3, bytes=500)
    DeviceRun.objects.filter(pk=run.pk).update(
        output_next=503, output_kept=3, output_truncated=True
    )
    shown = api.get(address(run, "output")).json()
    assert shown["text"] == "a\ufffdb[500 bytes dropped]"
    assert shown["gaps"] == [{"offset": 3, "bytes": 500}]
    assert (shown["dropped_bytes"], shown["truncated"]) == (500, True)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_text_plain_gives_the_bytes_as_they_were(api: APIClient, run: DeviceRun) -> None:
    data = b"\x1b[31mred\x1b[0m \xff\x00 " + "é".encode() * 200_000
    for start in range(0, len(data), 100_000):
        factories.write_output(run, data[start : start + 100_000])
    answer = api.get(address(run, "output"), headers={"Accept": "text/plain"})
    assert answer["Content-Type"].startswith("text/plain")
    assert content(answer) == data
    assert answer["DeployX-Next-Offset"] == str(len(data))
    part = api.get(address(run, "output?offset=5"), headers={"Accept": "text/plain"})
    assert content(part) == data[5:]


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_an_offset_beyond_the_end_reads_nothing(
    api: APIClient, run: DeviceRun, accept: str
) -> None:
    factories.write_output(run, b"abc")
    answer = api.get(address(run, "output?offset=99"), headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer["DeployX-Next-Offset"] == "99"


def test_a_download_is_read_page_by_page_and_ends_where_it_ended_when_it_began(
    api: APIClient, run: DeviceRun
) -> None:
    factories.write_output(run, b"a" * 300_000)
    factories.write_output(run, b"b" * 300_000, stream="stderr")
    answer: Any = api.get(address(run, "output?stream=stderr"), headers={"Accept": "text/plain"})
    factories.write_output(run, b"c" * 10, stream="stderr")
    assert max(len(part) for part in answer.streaming_content) <= outputs.LIMIT
    again = api.get(address(run, "output?stream=stderr"), headers={"Accept": "text/plain"})
    assert content(again) == b"b" * 300_000 + b"c" * 10


def test_a_download_says_what_was_dropped_and_goes_on_behind_it(
    api: APIClient, run: DeviceRun, settings: Any
) -> None:
    settings.DEPLOYX_OUTPUT_BYTES_PER_RUN, settings.DEPLOYX_OUTPUT_HEAD_BYTES = 100, 10
    for _number in range(20):
        factories.write_output(run, b"0123456789")
    answer = api.get(address(run, "output"), headers={"Accept": "text/plain"})
    assert len(content(answer)) == 100
    assert answer["DeployX-Dropped-Bytes"] == "100"
    assert answer["DeployX-Next-Offset"] == "200"
