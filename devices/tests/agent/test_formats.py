"""What the guide says of the formats of software is what the agent does."""

from __future__ import annotations

import re
from pathlib import Path

from devices.agent.packages import WAYS
from devices.agent.software_formats import FORMATS, SYSTEMS

GUIDE = Path(__file__).resolve().parents[3] / "docs/guide.md"
Rows = dict[str, list[str]]


def table(heading: str) -> Rows:
    """The cells after the first, by each format that the first one names."""
    _before, _heading, after = GUIDE.read_text().partition(f"{heading}\n|---")
    lines = after.partition("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: row[1:] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def tried_on(name: str, said: str) -> tuple[str, ...]:
    """Of the systems of the format, those that the cell says it was tried on."""
    if said in ("yes", "**untested**"):
        return FORMATS[name].systems if said == "yes" else ()
    tried, untested = said.removesuffix(" **untested**").split("; ")
    known = {f"on {label}": one for one, label in SYSTEMS}
    assert {known[tried], known[untested]} == set(FORMATS[name].systems)
    return (known[tried],)


def test_the_guide_says_where_each_format_comes_from_and_was_tried() -> None:
    said = table("| format | source | tried on a real system |")
    assert {name: (one[0], tried_on(name, one[1])) for name, one in said.items()} == {
        name: ("package name" if one.is_packaged else "file or address", one.tried_on)
        for name, one in FORMATS.items()
    }


def test_the_guide_names_the_commands_that_each_format_has() -> None:
    said = table("| format | install | upgrade | uninstall | detect |")
    assert {name: [not cell.startswith("–") for cell in row] for name, row in said.items()} == {
        name: [bool(one) for one in (way.install, way.upgrade, way.uninstall, way.detect)]
        for name, way in WAYS.items()
    }
