"""Icons as pages have them."""

from __future__ import annotations

import pytest

from accounts import icons


def test_an_icon_has_its_size_and_class_and_is_nothing_to_a_screen_reader() -> None:
    svg = icons.svg("clock", 20, "tone-wait")
    assert svg.startswith('<svg width="20" height="20" viewBox="0 0 24 24" ')
    assert svg.count('class="tone-wait"') == svg.count('aria-hidden="true"') == 1
    assert svg.count("<circle ") == 1
    assert "xmlns" not in svg


def test_a_name_that_is_none_is_said() -> None:
    with pytest.raises(KeyError, match=r"no-such-icon"):
        icons.svg("no-such-icon", 16)
