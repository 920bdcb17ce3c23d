"""docs/operations.md knows every variable that the settings read, and no other."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
OPERATIONS = (CHECKOUT / "docs" / "operations.md").read_text()


def test_every_variable_of_the_settings_is_explained() -> None:
    source = (CHECKOUT / "deployx" / "settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source)) | {"DEPLOYX_HOME"}
    assert len(read) > 20
    assert read == documented("### Read by DeployX", "### Read by docker-compose.yml alone")


def test_no_default_in_the_table_of_the_settings_is_out_of_date() -> None:
    source = (CHECKOUT / "deployx" / "settings.py").read_text()
    numbers = dict(re.findall(r"env\.(?:int|float)\(\s*\"([A-Z_]+)\",\s*([0-9][0-9_.* ]*)", source))
    explained = dict(re.findall(r"(?m)^\| `([A-Z_]+)` \| `([0-9]+)`", OPERATIONS))
    assert {name: product(text) for name, text in numbers.items()} == {
        name: float(text) for name, text in explained.items() if name in numbers
    }


def documented(start: str, end: str) -> set[str]:
    section = OPERATIONS.split(start)[1].split(end)[0]
    return set(re.findall(r"(?m)^\| `([A-Z_]+)` \|", section))


def product(text: str) -> float:
    """`10 * 1024**2` as a number."""
    number = 1.0
    for factor in text.replace("**", "^").split("*"):
        base, _power, exponent = factor.partition("^")
        number *= float(base) ** float(exponent or 1)
    return number
