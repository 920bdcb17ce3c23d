"""What a program writes for terminals does nothing to that of whoever reads it."""

from __future__ import annotations

import pytest

from scheduling import terminal


@pytest.mark.parametrize(
    "written",
    [
        "\x1b[31m",
        "\x9b31m",
        "\x1b[?25l",
        "\x9b?25l",
        "\x1b[2 q",
        "\x9b2 q",
        "\x1b]0;title\x07",
        "\x9d0;title\x07",
        "\x1b]8;;https://example.org\x1b\\",
        "\x9d8;;https://example.org\x9c",
        "\x9d52;c;ZXZpbA==\x1b\\",
        "\x1bD",
        "\x84",
        "\x85",
        "\x90",
        "\x07",
        "\x7f",
        "\r",
        "\x00",
    ],
)
def test_controls_are_left_out(written: str) -> None:
    assert terminal.plain(f"before{written}after") == "beforeafter"


@pytest.mark.parametrize("begun", ["\x1b[", "\x9b", "\x1b]", "\x9d"])
def test_of_what_is_begun_and_not_ended_no_control_is_left(begun: str) -> None:
    left = terminal.plain(f"{begun}0;1")

    assert left.isprintable()


def test_text_lines_and_tabs_stay() -> None:
    text = "Grün\t→ ok\u00a0é\nnext\n"

    assert terminal.plain(text) == text
    assert terminal.plain("one\r\ntwo") == "one\ntwo"
