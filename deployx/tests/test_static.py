"""What our own style sheets, scripts and templates look like: colours have one home, scripts are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

BASE = Path(settings.BASE_DIR)
SHEETS = sorted(
    path for path in (BASE / "static/css").glob("*.css") if path.name != "variables.css"
)
SCRIPTS = sorted((BASE / "static/js").glob("*.js"))
TEMPLATES = sorted((BASE / "templates").rglob("*.html"))
MOST_LINES = 150
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
VALUE = re.compile(r"[\w-]+\s*:([^;{}]*)(?=[;}])")
ATTRIBUTE = re.compile(r"""\s(?:fill|stroke|color|bgcolor|stop-color)=["']([^"']+)["']""")
COLOUR = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color|light-dark)\("
    r"|(?<![\w-])(?:black|white|gr[ae]y|silver|red|maroon|orange|yellow|gold|olive|lime|green|teal|cyan"
    r"|aqua|blue|navy|indigo|purple|violet|magenta|fuchsia|pink|brown|crimson)(?![\w-])",
    re.IGNORECASE,
)


def colours(text: str, what: re.Pattern[str]) -> list[str]:
    return [found for value in what.findall(text) for found in COLOUR.findall(value)]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.name)
def test_colours_are_named_in_one_place_alone(sheet: Path) -> None:
    assert colours(COMMENT.sub("", sheet.read_text()), VALUE) == []


def test_no_template_has_a_colour() -> None:
    assert {path for path in TEMPLATES if colours(path.read_text(), ATTRIBUTE)} == set()


@pytest.mark.parametrize(
    "wrong",
    [
        "a { color: #FFF }",
        "a:hover { border: 1px solid red; }",
        "a { background: rgb(0 0 0 / 50%); color: var(--text); }",
        "a { color: var(--text, white); }",
    ],
)
def test_a_colour_would_be_found(wrong: str) -> None:
    assert colours(wrong, VALUE)


def test_names_that_hold_a_colours_name_are_none() -> None:
    right = "#fade a:hover { white-space: pre; color: var(--red); border-color: transparent }"
    assert colours(right, VALUE) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_small(script: Path) -> None:
    assert len(script.read_text().splitlines()) <= MOST_LINES
