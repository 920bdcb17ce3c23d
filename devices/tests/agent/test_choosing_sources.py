"""Of an entry's sources, the one for this very machine is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devices.agent.kinds import JsonObject

from .device_context import DeviceContext
from .test_installing import do, entry


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")


@pytest.fixture
def context(tmp_path: Path) -> DeviceContext:
    return DeviceContext(tmp_path / "agent")


def with_sources(*platforms: tuple[str, str]) -> JsonObject:
    """Each says for which platform it was made."""
    given: list[Any] = [
        entry(os=system, architecture=one, install_command=f"echo ran {system} {one}")["sources"]
        for system, one in platforms
    ]
    return entry() | {"sources": [source for (source,) in given]}


ANY, EXACT, FOREIGN = ("linux", "any"), ("linux", "arm64"), ("linux", "amd64")


@pytest.mark.parametrize(
    ("platforms", "taken"),
    [
        ([ANY, EXACT, FOREIGN], EXACT),
        ([EXACT, ANY], EXACT),
        ([FOREIGN, ANY], ANY),
        ([("windows", "arm64"), ANY], ANY),
    ],
)
def test_the_one_for_this_architecture_comes_before_the_one_for_any(
    context: DeviceContext, platforms: list[tuple[str, str]], taken: tuple[str, str]
) -> None:
    assert do("install", context, with_sources(*platforms)).succeeded
    ran = [line for line in context.printed.decode().splitlines() if line.startswith("ran ")]
    assert ran == [f"ran {' '.join(taken)}"]


@pytest.mark.parametrize("platforms", [[FOREIGN], [("macos", "arm64"), ("windows", "any")], []])
def test_one_for_another_machine_is_not_taken(
    context: DeviceContext, platforms: list[tuple[str, str]]
) -> None:
    done = do("install", context, with_sources(*platforms))
    assert done.summary == "step 1 of 1, Tool 1: there is no source for linux on arm64"
    assert b"ran " not in context.printed
