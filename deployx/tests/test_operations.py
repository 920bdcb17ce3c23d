"""docs/operations.md knows every variable that the settings read, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from deployx.api_settings import REST_FRAMEWORK

CHECKOUT = Path(__file__).resolve().parents[2]
OPERATIONS = (CHECKOUT / "docs" / "operations.md").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(
    (CHECKOUT / "docker-compose.yml").read_text()
)


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


def test_every_volume_that_holds_something_is_backed_up() -> None:
    """Redis' holds nothing that is needed."""
    named = set(re.findall(r"volume `([\w-]+)`", section("Backup and restore")))
    assert named == set(COMPOSE["volumes"]) - {"redis"}


def test_a_restore_stops_all_that_speaks_with_the_database_or_for_it() -> None:
    stopped = re.findall(r"(?m)^docker compose stop (.+)$", section("Backup and restore"))
    ours = {
        name
        for name, one in COMPOSE["services"].items()
        if name == "nginx" or one["image"].startswith("deployx:")
    }
    assert [set(line.split()) for line in stopped] == [ours]


def test_every_event_that_is_explained_is_logged() -> None:
    explained = set(re.findall(r"`([a-z_]+_[a-z_]+|alarm)`", first_column(section("Logs"))))
    source = "".join(
        path.read_text()
        for package in ("accounts", "deployx", "devices", "scheduling")
        for path in (CHECKOUT / package).rglob("*.py")
        if "tests" not in path.parts
    )
    logged = set(re.findall(r"log\.\w+\(\s*\"(\w+)\"", source))
    assert len(explained) > 10
    assert explained - logged == set()


def test_the_limits_of_the_api_are_those_that_hold() -> None:
    rates = REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    row = next(line for line in section("Limits").splitlines() if line.startswith("| API |"))
    assert rates == {"user": f"{number(row, 'requests')}/min", "anon": f"{number(row, 'for')}/min"}


def test_going_back_is_a_restore() -> None:
    """With recovery mode: devices have gone on since the dump."""
    going_back = section("Upgrade").split("To go back")[1]
    assert "(#backup-and-restore)" in going_back
    assert "`recovery on`" in going_back


def first_column(table: str) -> str:
    return "\n".join(re.findall(r"(?m)^\|([^|]*)\|", table))


def number(text: str, before: str) -> int:
    """The one that stands before this word."""
    found = re.search(rf"([\d,]+) {before}\b", text)
    assert found is not None
    return int(found[1].replace(",", ""))


def section(heading: str) -> str:
    return OPERATIONS.split(f"\n## {heading}\n")[1].split("\n## ")[0]


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
