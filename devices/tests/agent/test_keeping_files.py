"""What was fetched is kept a day for other runs, goes then, and goes at once where the disk is short."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from devices.agent.config import Settings, StateDir
from devices.agent.grants import read_order
from devices.agent.identity import create_key
from devices.agent.journal import Entry, Journal
from devices.agent.protocol import JournalState, Outcome, RejectCode, parse_terms
from devices.agent.shim import Work
from devices.agent.supervisor import Supervisor
from devices.agent.transfers import Transfers

from .conftest import AgentProcess, eventually
from .fake_server import FakeServer


class Disk(NamedTuple):
    free: int


def kept(state: StateDir, name: str, hours: float) -> Path:
    """A file in the cache that was asked for so long ago."""
    path = state.path / "files" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"content")
    os.utime(path, (time.time() - hours * 3_600,) * 2)
    return path


def names(state: StateDir) -> set[str]:
    return {path.name for path in (state.path / "files").iterdir()}


@pytest.fixture
def cache(state: StateDir) -> Transfers:
    return Transfers(state, Settings(min_free_bytes=1_000), create_key(state))


async def test_a_running_agent_forgets_what_nobody_asked_for_since_a_day(
    enrolled: AgentProcess,
) -> None:
    enrolled.patience["client._TIDY_SECONDS"] = 0.1
    await enrolled.start()
    state = enrolled.state
    taken = kept(state, "taken", 25)
    (state.path / "link").hardlink_to(taken)
    for name, hours in (("new", 23), ("new.part", 23), ("old", 25), ("old.part", 25)):
        kept(state, name, hours)
    await eventually(lambda: names(state) == {"taken", "new", "new.part"})


def test_what_vanishes_meanwhile_and_no_cache_at_all_are_no_trouble(
    cache: Transfers, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.sweep()
    gone, old = kept(state, "gone", 25), kept(state, "old", 25)
    gone.unlink()
    monkeypatch.setattr(Path, "iterdir", lambda _: iter([gone, old]))
    cache.sweep()
    assert not old.exists()


@pytest.mark.parametrize(("free", "left"), [(1_099, set()), (1_100, {"new"})])
def test_where_the_disk_is_short_all_that_no_run_uses_goes(
    cache: Transfers,
    state: StateDir,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    left: set[str],
) -> None:
    kept(state, "new", 0.1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk(free))
    cache.make_room(100)
    assert names(state) == left


async def test_what_a_run_waits_for_stays(cache: Transfers, state: StateDir) -> None:
    wanted = kept(state, "wanted.part", 25)
    cache._locks["wanted"] = asyncio.Lock()
    async with cache._locks["wanted"]:
        cache.sweep()
    assert wanted.exists()
    cache.sweep()
    assert not wanted.exists()


async def test_a_run_is_rejected_for_want_of_room_only_after_the_cache_is_empty(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    enrolled.environment["DEPLOYX_AGENT_MIN_FREE_BYTES"] = "1e18"
    await enrolled.start()
    kept(enrolled.state, "new", 0.1)
    run = await server.do({"command": "true"})
    assert (await server.refused(run)).code is RejectCode.DISK_FULL
    assert names(enrolled.state) == set()


async def test_a_download_takes_the_room_of_what_was_kept(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    """The device has no room for a file of that size, whatever it forgets; it does forget it."""
    kept(agent.state, "new", 0.1)
    sha256 = hashlib.sha256(b"new").hexdigest()
    server.files["/agent/files/token"] = b"new"
    server.addresses[sha256] = "/agent/files/token"
    files = [{"name": "large", "sha256": sha256, "size": 10**18}]
    order = {"files": files, "target_path": f"{tmp_path}/large"}
    run = await server.do(order, kind="file_deployment", files=(sha256,))
    result = await server.ended(run)
    assert result.outcome is Outcome.FAILED
    assert "has no room for it" in result.detail["summary"]
    assert names(agent.state) == set()


async def test_a_run_knows_how_much_is_to_stay_free(
    state: StateDir, cache: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it replaces is kept beside it on the same disk."""
    begun: list[Work] = []

    async def run(_entry: Entry, work: Work) -> None:
        begun.append(work)

    def fail(problem: BaseException) -> None:
        raise problem

    journal = Journal(state.journal)
    settings = Settings(min_free_bytes=1_000)
    supervisor = Supervisor(state, settings, journal, pytest.fail, fail, cache)
    monkeypatch.setattr(supervisor, "_run", run)
    signed = FakeServer().run({"command": "true"})
    order = read_order(parse_terms(signed.terms), signed.payload)
    supervisor.launch(Entry(signed.id, JournalState.GO), order, 60, 1_000)
    await asyncio.gather(*supervisor._tasks)

    assert Work.read(begun[0].write()).min_free_bytes == 1_000
