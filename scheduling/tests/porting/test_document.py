"""YAML that is written and read here, and all that is not read."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.porting.document import MAX_BYTES, DocumentError, read, write

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30
) | st.text("ab \n\t:#-'\"\\|>&*!%?{}[],.~", max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def refused(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as error:
        read(text if isinstance(text, bytes) else text.encode())
    return str(error.value)


@settings(max_examples=400, deadline=None)
@given(values)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert read(write(value, comment="Two\nlines").encode()) == value


ascii_texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
surprising = st.sampled_from(
    ["12:30", "on", "Off", "y", "NO", "~", "null", "0644", "0o17", "0x1f", "1e3", "1_000", "2027-01-31",
     "2027-01-31T02:00:00Z", ".inf", ".NaN", "<<", "=", "-", "1.", "+1", "- a", "a: b", "a #b", "%", "@"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(ascii_texts | surprising, ascii_texts | surprising, max_size=5))
def test_a_reader_of_the_older_yaml_sees_the_same(value: dict[str, str]) -> None:
    assert yaml.safe_load(write(value)) == value


def test_lines_of_a_command_are_written_as_lines() -> None:
    assert write({"command": "set -e\ndf -h\n"}) == "command: |\n  set -e\n  df -h\n"


def test_plain_words_are_what_they_look_like() -> None:
    text = (
        "a: 12:30\nb: on\nc: 2027-01-31\nd: 0644\ne: 1_000\nf: 0x1f\ng: .inf\nh: yes\n"
        "i: 2027-01-31T02:00:00Z\n<<: merged\non: success\n7: seven\n"
    )
    assert read(text.encode()) == {
        "a": "12:30", "b": "on", "c": "2027-01-31", "d": "0644", "e": "1_000", "f": "0x1f",
        "g": ".inf", "h": "yes", "i": "2027-01-31T02:00:00Z", "<<": "merged", "on": "success",
        "7": "seven",
    }  # fmt: skip


def test_numbers_truth_and_nothing_are_known_and_quotes_make_text() -> None:
    text = "[1, -5, 1.5, 1e3, true, FALSE, null, ~, '1', \"true\", '']"
    assert read(text.encode()) == [1, -5, 1.5, 1000.0, True, False, None, None, "1", "true", ""]
    assert read(b"a:\nb: {c: }") == {"a": None, "b": {"c": None}}
    assert read(b"") is None


def test_json_is_read_as_well() -> None:
    assert read(b'{"version": 1, "tasks": [{"name": "a\\n", "max_runs": null}]}') == {
        "version": 1,
        "tasks": [{"name": "a\n", "max_runs": None}],
    }


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "Line 1, column 4: Anchors"),
        ("a: *a", "Line 1, column 4: Aliases"),
        ("&a {}", "Anchors"),
        ("? &a b\n: c", "Anchors"),
        ("!!python/object/apply:os.system ['true']", "Tags"),
        ("a: !!str b", "Tags"),
        ("a: ! b", "Tags"),
        ("a: !!binary aGk=", "Tags"),
        ("%YAML 1.1\n---\na: b", "Directives"),
        ("%TAG ! tag:example.org,2027:\n---\na: b", "Directives"),
        ("a: 1\nb: 2\na: 3", "Line 3, column 1: “a” is there twice"),
        ("{a: 1, 'a': 2}", "“a” is there twice"),
        ("a: 1\n---\nb: 2", "second document"),
        ("[a, b]: c", "A key has to be text"),
        ("? {a: b}\n: c", "A key has to be text"),
        ("[" * 21, "nested more than 20 deep"),
        ("a: " + "9" * 19, "A number is too large"),
        ("a: " + "9" * 5_000, "A number is too large"),
        ("a: 1e999", "A number is too large"),
        ('a: "\\0"', "cannot be stored"),
        ('a: "\\ud83d\\ude00"', "cannot be stored"),
        ('a: "\\UFFFFFFFF"', "not YAML"),
        ("%YAML 1.20\n---\n", "not YAML"),
        ("a: [", "not YAML"),
        ("a: b: c", "Line 1, column 5: It is not YAML"),
        ("\ta: b", "not YAML"),
        ("a: \x07", "not YAML"),
        (b"a: \xff", "not UTF-8"),
        ("a: b".encode("utf-16"), "not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "larger than 256 KiB"),
    ],
)
def test_what_could_mean_something_else_is_refused(text: str | bytes, reason: str) -> None:
    assert reason in refused(text)


def test_twenty_deep_is_still_read() -> None:
    assert read(("[" * 20 + "]" * 20).encode())


@pytest.mark.parametrize(
    "unit", ["[", "{", "{a: ", "- ", "? ", "[a,", '"', "'", "&a ", "|\n a\n", "!"]
)
def test_a_full_file_of_anything_takes_no_longer_than_a_full_file(unit: str) -> None:
    data = (unit * MAX_BYTES)[:MAX_BYTES].encode()
    began = time.process_time()
    with suppress(DocumentError):
        read(data)
    assert time.process_time() - began < 20


PARTS = st.sampled_from(
    ["\n", " ", "  ", "- ", ": ", "? ", "[", "]", "{", "}", ",", "&a", "*a", "!", "!!str", "|", ">", "|2",
     '"', "'", "\\", "\\x", "\\U00110000", "\\ud800", "%", "%YAML 1.2", "%TAG ! x", "---", "...", "#",
     "@", "`", "<<", "~", "\t", "\r", "\u2028", "\x85", "\ufeff", "a", "0", "=", "!<a>", "!<%ff>"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(PARTS, max_size=14).map("".join))
def test_anything_is_a_value_or_is_refused(text: str) -> None:
    with suppress(DocumentError):
        value = read(text.encode())
        assert read(write(value).encode()) == value
