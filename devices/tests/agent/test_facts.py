"""What a device tells of itself is looked up anew: as a session begins, while it lasts, once a day."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devices.agent.protocol import Facts, Heartbeat

from .conftest import AgentProcess
from .fake_server import FakeServer


@pytest.fixture
def programs(enrolled: AgentProcess, tmp_path: Path) -> Path:
    """A folder in which the agent looks for programs, too."""
    folder = tmp_path / "programs"
    folder.mkdir()
    enrolled.environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    return folder


def install(programs: Path) -> None:
    (programs / "brew").write_text("#!/bin/sh\n")
    (programs / "brew").chmod(0o755)


async def test_a_fact_that_changes_is_told_and_one_that_does_not_is_not(
    server: FakeServer, enrolled: AgentProcess, programs: Path
) -> None:
    enrolled.patience["session._FACTS_SECONDS"] = 0.1
    await enrolled.start()
    await server.saw(Heartbeat, count=4)
    assert server.frames(Facts) == []

    install(programs)

    told = await server.saw(Facts)
    before = server.hellos[0].facts["package_managers"]
    assert told.facts == {**server.hellos[0].facts, "package_managers": [*before, "brew"]}
    assert len(server.hellos) == 1


async def test_what_has_not_changed_is_told_once_a_day(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    enrolled.patience |= {"session._FACTS_SECONDS": 0.1, "session._DAY_SECONDS": 0.3}
    await enrolled.start()
    assert (await server.saw(Facts, count=2)).facts == server.hellos[0].facts


async def test_whoever_comes_back_tells_what_changed_meanwhile(
    server: FakeServer, enrolled: AgentProcess, programs: Path
) -> None:
    await enrolled.start()
    assert "brew" not in server.hellos[0].facts["package_managers"]
    install(programs)

    hello = await server.reconnected(server.cut)

    assert "brew" in hello.facts["package_managers"]
