"""Files on their way to real agents: cut anywhere, killed in between, or not what was signed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import stat
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from devices.agent import protocol
from devices.agent.config import StateDir
from devices.agent.downloading import PIECE_BYTES, Wanted, download
from devices.agent.protocol import Fetch, Outcome, Result
from devices.agent.shim import Exit

from .conftest import AgentProcess, enroll_by_hand, eventually
from .fake_runs import Run
from .fake_server import FakeServer
from .file_host import FileHost, Hosted

EFFORT = int(os.environ.get("DEPLOYX_TEST_EFFORT") or 1)
SIZE = 20 * 1024 * 1024 * min(EFFORT, 10)
DICE = random.Random(20261125)


@pytest_asyncio.fixture
async def host() -> AsyncIterator[FileHost]:
    async with FileHost() as host:
        yield host


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    folder = tmp_path / "srv"
    folder.mkdir()
    return folder


async def ask_for(server: FakeServer, target: Path | str, *files: Any, **options: Any) -> Run:
    """A run that deploys these hosted files; `options` may hold other facts about the first one."""
    signed: dict[str, Any] = {
        name: options.pop(name) for name in ("sha256", "size", "name") if name in options
    }
    facts: list[dict[str, Any]] = [
        {"name": f"file{number}", "sha256": one.sha256, "size": len(one.content)}
        for number, one in enumerate(files)
    ]
    facts[0] |= signed
    order = {"files": facts, "target_path": str(target), **options}
    digests = tuple(str(one["sha256"]) for one in facts)
    return await server.do(order, kind="file_deployment", files=digests)


def offer(server: FakeServer, hosted: Hosted, url: str) -> None:
    server.addresses[hosted.sha256] = url


class Watch(threading.Thread):
    """Looks at a target all the time; what it saw there that is no whole file is in `half`."""

    def __init__(self, target: Path, *whole: int) -> None:
        super().__init__(daemon=True)
        self._target, self._whole = target, whole
        self.half: list[int] = []
        self.is_over = False

    def run(self) -> None:
        while not self.is_over:
            with contextlib.suppress(FileNotFoundError):
                size = self._target.stat().st_size
                if size not in self._whole:
                    self.half.append(size)
            time.sleep(0.001)

    def finish(self) -> list[int]:
        self.is_over = True
        self.join()
        return self.half


async def ended(server: FakeServer, run: Run, seconds: float = 100 * EFFORT) -> Result:
    await eventually(lambda: run.result is not None or server.problem, seconds)
    assert run.result is not None, server.problem
    return run.result


async def test_cut_at_any_byte_five_agents_get_the_right_bytes_and_go_on(
    tmp_path: Path, host: FileHost
) -> None:
    content = DICE.randbytes(SIZE)
    async with contextlib.AsyncExitStack() as stack:
        courses = []
        for number in range(5):
            cuts = [DICE.randrange(1, SIZE // 4) for _ in range(3)]
            hosted = host.host(content, f"/{number}", cuts=cuts)
            server = await stack.enter_async_context(FakeServer())
            agent = _enrolled(tmp_path / f"agent{number}", server)
            stack.push_async_callback(agent.kill)
            courses.append(_cut_and_killed(agent, hosted, host.address(f"/{number}"), tmp_path))
        await asyncio.gather(*courses)


def _enrolled(folder: Path, server: FakeServer) -> AgentProcess:
    state = StateDir(folder)
    state.create()
    enroll_by_hand(state, server)
    return AgentProcess(state, server)


async def _cut_and_killed(agent: AgentProcess, hosted: Hosted, url: str, folder: Path) -> None:
    """One of the cuts is followed by a kill of the agent."""
    server, target = agent.server, folder / f"{agent.state.path.name}.bin"
    offer(server, hosted, url)
    watch = Watch(target, SIZE)
    watch.start()
    await agent.start()
    run = await ask_for(server, target, hosted)
    await eventually(lambda: len(hosted.offsets) >= 2, 60)
    await agent.restart()
    result = await ended(server, run)
    assert result.outcome is Outcome.SUCCEEDED, result
    assert watch.finish() == []
    assert hashlib.sha256(target.read_bytes()).hexdigest() == hosted.sha256
    assert hosted.offsets[0] == 0
    assert hosted.offsets == sorted(hosted.offsets)
    assert min(hosted.offsets[1:]) > 0
    # What was on the wire when it broke comes twice, and no more than that.
    assert hosted.sent < SIZE + len(hosted.offsets) * 6 * 1024 * 1024


async def test_an_agent_killed_while_it_writes_goes_on_where_it_was(
    server: FakeServer, agent: AgentProcess, host: FileHost, srv: Path
) -> None:
    hosted = host.host(DICE.randbytes(4_000_000))
    host.hold_after(3_000_000)
    offer(server, hosted, host.address())
    run = await ask_for(server, srv / "file", hosted)
    part = agent.state.path / "files" / f"{hosted.sha256}.part"
    await eventually(lambda: part.exists() and part.stat().st_size >= 2_000_000)
    await agent.kill()
    assert contents(srv) == {}
    host.let_go()
    await agent.start()
    assert (await ended(server, run)).outcome is Outcome.SUCCEEDED
    assert (srv / "file").read_bytes() == hosted.content
    assert hosted.offsets[0] == 0
    assert hosted.offsets[1] >= 2_000_000
    again = await ask_for(server, srv / "file", hosted)
    assert (await ended(server, again)).detail["summary"] == "already in place"
    assert len(hosted.offsets) == 2


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        (None, Outcome.UNKNOWN),
        (Exit("cancelled", None, {"summary": "cancelled while it ran"}), Outcome.CANCELLED),
    ],
    ids=["without a word", "stopped, but stuck in something"],
)
async def test_a_run_gone_while_it_places_leaves_all_files_or_none(
    server: FakeServer,
    agent: AgentProcess,
    host: FileHost,
    srv: Path,
    word: Exit | None,
    outcome: Outcome,
) -> None:
    hosted = [host.host(f"new {number}".encode(), f"/{number}") for number in range(60)]
    for number, one in enumerate(hosted):
        offer(server, one, host.address(f"/{number}"))
        (srv / f"file{number}").write_text("old")
    run = await ask_for(server, f"{srv}/", *hosted)
    await eventually(lambda: any(srv.glob(".deployx-*")), 60)
    if word is not None:
        (agent.state.run(run.id) / "exit.json").write_text(json.dumps(asdict(word)))
    for pid in agent.shims():
        os.kill(pid, signal.SIGKILL)
    result = await ended(server, run)
    assert result.outcome is outcome
    found = contents(srv)
    old = {f"file{number}": "old" for number in range(60)}
    assert found in (old, {name: f"new {name.removeprefix('file')}" for name in old})


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def _is_untouched(srv: Path) -> bool:
    return contents(srv) == {}


@pytest.mark.parametrize(
    ("signed", "how", "said"),
    [
        ({"sha256": "0" * 64}, {}, "not the one that was signed"),
        ({"size": 1_000}, {"is_endless": True, "announced": None}, "more than the 1000 bytes"),
        ({"size": 1_000}, {}, "more than the 1000 bytes"),
        ({"size": 2_000_000}, {}, "shorter than the one that was signed"),
    ],
    ids=["another digest", "endless", "longer", "shorter"],
)
async def test_what_is_not_what_was_signed_is_never_seen(
    server: FakeServer,
    agent: AgentProcess,
    host: FileHost,
    srv: Path,
    signed: dict[str, Any],
    how: dict[str, Any],
    said: str,
) -> None:
    hosted = host.host(DICE.randbytes(1_000_000), **how)
    server.addresses[signed.get("sha256", hosted.sha256)] = host.address()
    run = await ask_for(server, srv / "file", hosted, **signed)
    result = await ended(server, run)
    assert result.outcome is Outcome.FAILED
    assert said in result.detail["summary"]
    assert _is_untouched(srv)
    assert hosted.sent <= 1_000_000 or how
    parts = list((agent.state.path / "files").glob("*.part"))
    assert sum(part.stat().st_size for part in parts) <= 1_000_000


async def test_an_address_that_has_expired_is_asked_for_again(
    server: FakeServer, agent: AgentProcess, host: FileHost, srv: Path
) -> None:
    hosted = host.host(b"content", statuses=[403, 500, 403])
    offer(server, hosted, host.address())
    run = await ask_for(server, srv / "file", hosted)
    assert (await ended(server, run)).outcome is Outcome.SUCCEEDED
    assert len(server.frames(Fetch, run)) == 4


async def test_the_rest_is_asked_for_anew_after_a_while(host: FileHost, tmp_path: Path) -> None:
    hosted = host.host(DICE.randbytes(3 * PIECE_BYTES + 5))
    await asyncio.to_thread(
        download,
        host.address(),
        tmp_path / "file",
        Wanted(hosted.sha256, len(hosted.content)),
        headers={},
        go_on=lambda: True,
        stretch_seconds=0,
    )
    assert (tmp_path / "file").read_bytes() == hosted.content
    assert hosted.offsets == [0, PIECE_BYTES, 2 * PIECE_BYTES, 3 * PIECE_BYTES]


async def test_a_server_that_refuses_every_address_it_gives_ends_the_run(
    server: FakeServer, enrolled: AgentProcess, host: FileHost, srv: Path
) -> None:
    enrolled.patience["transfers._MOST_REFUSED"] = 3
    await enrolled.start()
    says = b"\x1bthe run is\r\nover " + b"x" * 1_000
    hosted = host.host(b"content", statuses=[403] * 50, says=says)
    offer(server, hosted, host.address())
    result = await ended(server, await ask_for(server, srv / "file", hosted))
    assert result.outcome is Outcome.FAILED
    assert result.detail["summary"] == (
        "file0: 3 addresses in a row were no good: the server refused the address (403):"
        f" the run is over {'x' * 182}"
    )
    assert len(hosted.statuses) == 47


async def test_what_it_waited_for_is_said_when_its_time_is_up(
    server: FakeServer, agent: AgentProcess, host: FileHost, srv: Path
) -> None:
    hosted = host.host(b"content", statuses=[503] * 1_000)
    offer(server, hosted, host.address())
    facts = {"name": "app.conf", "sha256": hosted.sha256, "size": 7}
    run = await server.up_in_time(
        {"files": [facts], "target_path": str(srv / "file")},
        lambda run: (agent.state.run(run.id) / "held-up" / hosted.sha256).exists(),
        kind="file_deployment",
        files=(hosted.sha256,),
    )
    result = await ended(server, run)
    assert result.outcome is Outcome.TIMED_OUT
    assert result.detail["summary"] == (
        "stopped at its time limit, while waiting for the file app.conf: the server answered 503"
    )
    assert _is_untouched(srv)


async def test_a_file_that_the_server_does_not_give_or_does_not_have_fails_at_once(
    server: FakeServer, agent: AgentProcess, host: FileHost, srv: Path
) -> None:
    hosted = Hosted(b"content")
    unknown = await ended(server, await ask_for(server, srv / "file", hosted))
    assert unknown.detail["summary"] == "file0: the server does not give it: unknown"
    offer(server, hosted, host.address("/nothing-here"))
    missing = await ended(server, await ask_for(server, srv / "file", hosted))
    assert missing.detail["summary"] == "file0: the server has no such file"
    assert _is_untouched(srv)


async def test_an_agent_goes_only_where_it_may(
    server: FakeServer, agent: AgentProcess, srv: Path
) -> None:
    hosted = Hosted(b"content")
    for url in ("http://192.0.2.1/file", "file:///etc/passwd", "ftp://127.0.0.1/file"):
        offer(server, hosted, url)
        result = await ended(server, await ask_for(server, srv / "file", hosted))
        assert result.outcome is Outcome.FAILED, url
        assert "https://" in result.detail["summary"]
    assert _is_untouched(srv)


async def test_a_path_of_the_server_is_asked_for_with_the_devices_signature(
    server: FakeServer, agent: AgentProcess, srv: Path
) -> None:
    hosted = Hosted(b"content")
    path = "/agent/files/some-token"
    server.files[path] = hosted.content
    offer(server, hosted, path)
    run = await ask_for(server, srv / "file", hosted)
    assert (await ended(server, run)).outcome is Outcome.SUCCEEDED
    signature = base64.b64decode(server.fetch_signatures[-1])
    assert protocol.verify(server.device_key, signature, protocol.fetch_bytes(path))


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "", "a\0b", "/etc/passwd"])
async def test_a_name_that_leads_elsewhere_is_rejected(
    server: FakeServer, agent: AgentProcess, srv: Path, name: str
) -> None:
    run = await ask_for(server, f"{srv}/", Hosted(b"content"), name=name)
    await server.refused(run)
    assert _is_untouched(srv)


async def test_without_room_it_says_so_and_fills_nothing(
    server: FakeServer, agent: AgentProcess, host: FileHost, srv: Path
) -> None:
    hosted = host.host(DICE.randbytes(3_000_000))
    offer(server, hosted, host.address())
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    result = await ended(server, await ask_for(server, srv / "file", hosted))
    assert result.outcome is Outcome.FAILED
    assert "the device cannot store the file: File too large" in result.detail["summary"]
    assert not list((agent.state.path / "files").iterdir())
    assert _is_untouched(srv)


async def test_nothing_of_files_and_values_is_in_any_log(
    server: FakeServer, enrolled: AgentProcess, host: FileHost, srv: Path, capfd: Any
) -> None:
    hosted = host.host(b"the-content ${secret}")
    offer(server, hosted, host.address())
    server.acks_result = False  # so long, what a run left stays where it is
    await enrolled.start()
    options = {"template": True, "variables": {"secret": "the-value"}}
    run = await ask_for(server, srv / "file", hosted, **options)
    assert (await ended(server, run)).outcome is Outcome.SUCCEEDED
    wrong = await ask_for(server, srv / "other", hosted, template=True)
    assert (await ended(server, wrong)).outcome is Outcome.FAILED
    assert (srv / "file").read_text() == "the-content the-value"
    told = capfd.readouterr()
    logs = [path.read_text() for path in enrolled.state.path.rglob("*.log")]
    assert len(logs) >= 2
    for text in (told.out, told.err, *logs):
        assert "the-value" not in text
        assert "the-content" not in text
    lines = [psutil.Process(pid).cmdline() for pid in enrolled.shims()]
    assert "the-value" not in str(lines)
    assert stat.S_IMODE((enrolled.state.path / "files").stat().st_mode) == 0o700
