from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from devices.models import Device
from scheduling import ledger, outputs
from scheduling.models import DeviceRun, OutputGap
from scheduling.tests import factories

TEXT = "größer → 木 🌲 ende\n".encode()


@pytest.fixture
def run(admin: User, web_device: Device) -> DeviceRun:
    return factories.run(factories.execution(factories.task(admin)), web_device, status="running")


def end(run: DeviceRun) -> None:
    ledger.results([factories.result_of(run, output_length=run.output_next)])
    run.refresh_from_db()


def test_output_is_read_from_where_one_left_off(run: DeviceRun) -> None:
    factories.write_output(run, b"one\n")
    first = outputs.read(run)
    assert (first.text, first.next_offset, first.finished) == ("one\n", 4, False)
    assert outputs.read(run, offset=4).text == ""
    factories.write_output(run, b"two\n")
    assert outputs.read(run, offset=4).text == "two\n"
    assert outputs.read(run, offset=6).text == "o\n"


def test_it_is_finished_when_the_run_is_and_all_is_read(run: DeviceRun) -> None:
    factories.write_output(run, b"one\n")
    end(run)
    assert outputs.read(run, limit=2).finished is False
    assert outputs.read(run, offset=2).finished is True
    assert outputs.read(run, offset=4).finished is True


@pytest.mark.parametrize("limit", range(4, 12))
def test_no_character_is_split_wherever_a_read_ends(run: DeviceRun, limit: int) -> None:
    factories.write_output(run, TEXT)
    end(run)
    text, offset = "", 0
    while not (part := outputs.read(run, offset=offset, limit=limit)).finished:
        assert part.next_offset > offset
        text, offset = text + part.text, part.next_offset
    assert (text + part.text).encode() == TEXT


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
def test_no_character_is_split_wherever_a_frame_ends(run: DeviceRun, cut: int) -> None:
    factories.write_output(run, TEXT[:cut])
    first = outputs.read(run)
    assert "\ufffd" not in first.text
    factories.write_output(run, TEXT[cut:])
    rest = outputs.read(run, offset=first.next_offset)
    assert (first.text + rest.text).encode() == TEXT
    assert first.data + rest.data == TEXT


def test_bytes_that_are_no_text_show_as_such(run: DeviceRun) -> None:
    factories.write_output(run, b"a\xff\xfeb")
    assert outputs.read(run).text == "a\ufffd\ufffdb"
    assert outputs.read(run).data == b"a\xff\xfeb"


def test_half_a_character_at_the_very_end_shows_once_the_run_has_ended(run: DeviceRun) -> None:
    factories.write_output(run, "ä".encode()[:1])
    assert (outputs.read(run).text, outputs.read(run).next_offset) == ("", 0)
    end(run)
    last = outputs.read(run)
    assert (last.text, last.next_offset, last.finished) == ("\ufffd", 1, True)


def test_streams_are_told_apart_by_the_same_offsets(run: DeviceRun) -> None:
    factories.write_output(run, b"out1")
    factories.write_output(run, b"err1", stream="stderr")
    factories.write_output(run, b"out2")
    both, out, err = (outputs.read(run, stream=stream) for stream in (None, "stdout", "stderr"))
    assert (both.text, out.text, err.text) == ("out1err1out2", "out1out2", "err1")
    assert both.next_offset == out.next_offset == err.next_offset == 12


def test_a_character_of_one_stream_may_be_parted_by_the_other(run: DeviceRun) -> None:
    factories.write_output(run, "ä".encode()[:1])
    factories.write_output(run, b"!", stream="stderr")
    factories.write_output(run, "ä".encode()[1:])
    end(run)
    assert sorted(outputs.read(run).text) == ["!", "ä"]


def test_of_both_streams_half_a_character_at_one_boundary_shows_neither_twice_nor_broken(
    run: DeviceRun,
) -> None:
    one, other = "ä".encode(), "木".encode()
    factories.write_output(run, b"a" + one[:1])
    factories.write_output(run, b"b" + other[:2], stream="stderr")
    first = outputs.read(run)
    assert (first.text, first.next_offset) == ("ab", 3)
    factories.write_output(run, one[1:] + b"c")
    factories.write_output(run, other[2:] + b"d", stream="stderr")
    end(run)
    rest = outputs.read(run, offset=first.next_offset)
    assert first.text + rest.text == "abäc木d"


@pytest.mark.parametrize("limit", range(1, 12))
def test_streams_that_take_turns_within_characters_are_each_whole(
    run: DeviceRun, limit: int
) -> None:
    for number in range(0, len(TEXT), 2):
        factories.write_output(run, TEXT[number : number + 2])
        factories.write_output(run, TEXT[number : number + 2], stream="stderr")
    end(run)
    for stream in ("stdout", "stderr"):
        text, offset, is_finished = "", 0, False
        while not is_finished:
            part = outputs.read(run, offset=offset, stream=stream, limit=limit)
            text, offset, is_finished = text + part.text, part.next_offset, part.finished
        assert text.encode() == TEXT


def test_the_rest_of_a_character_whose_beginning_was_dropped_shows_as_broken(
    run: DeviceRun,
) -> None:
    factories.write_output(run, "ä".encode()[:1])
    OutputGap.objects.create(run=run, offset=1, bytes=4)
    DeviceRun.objects.filter(pk=run.pk).update(output_next=5)
    factories.write_output(run, "ä".encode()[1:])
    assert outputs.read(run).text == "\ufffd[4 bytes dropped]\ufffd"
    assert outputs.read(run, offset=5).text == "\ufffd"


def test_a_gap_shows_with_its_length(run: DeviceRun) -> None:
    factories.write_output(run, b"abc")
    OutputGap.objects.create(run=run, offset=3, bytes=7)
    DeviceRun.objects.filter(pk=run.pk).update(output_next=10, output_truncated=True)
    factories.write_output(run, b"xyz")
    part = outputs.read(run)
    assert part.text == "abc[7 bytes dropped]xyz"
    assert (part.data, part.next_offset) == (b"abcxyz", 13)
    assert (part.truncated, part.dropped_bytes) == (True, 7)
    assert part.gaps == [{"offset": 3, "bytes": 7}]


def test_reading_from_within_a_gap_goes_on_behind_it(run: DeviceRun) -> None:
    OutputGap.objects.create(run=run, offset=0, bytes=7)
    DeviceRun.objects.filter(pk=run.pk).update(output_next=7)
    factories.write_output(run, b"xyz")
    assert outputs.read(run, offset=5).data == b"xyz"


def test_a_gap_beyond_the_limit_is_left_to_the_read_that_gets_there(run: DeviceRun) -> None:
    factories.write_output(run, b"abcdef")
    OutputGap.objects.create(run=run, offset=6, bytes=4)
    DeviceRun.objects.filter(pk=run.pk).update(output_next=10)
    first = outputs.read(run, limit=3)
    assert (first.text, first.next_offset) == ("abc", 3)
    assert outputs.read(run, offset=3).text == "def[4 bytes dropped]"


def test_much_output_is_read_in_steps_that_add_up(run: DeviceRun) -> None:
    written = b"".join(b"%06d\n" % number for number in range(2_000))
    for start in range(0, len(written), 700):
        factories.write_output(run, written[start : start + 700])
    end(run)
    data, offset = b"", 0
    while not (part := outputs.read(run, offset=offset, limit=1_000)).finished:
        assert len(part.data) <= 1_000
        data, offset = data + part.data, part.next_offset
    assert data + part.data == written
