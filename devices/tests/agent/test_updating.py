"""An agent replaces itself by the version its server serves, or stays what it is and says why."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devices import wheel as packing
from devices.agent import __version__, protocol, updating
from devices.agent.config import StateDir
from devices.agent.protocol import Facts, Outcome, Update
from devices.agent.updating import Chosen

from .conftest import AgentProcess, Gate, enroll_by_hand, eventually
from .fake_server import FakeServer
from .test_wheel import NEEDED, place_of

NEWER = "1.0.1"
Change = Callable[[str, bytes], bytes]


def wheel(version: str, change: Change = lambda name, content: content) -> bytes:
    """The server's wheel as if it were another version, its files changed by `change`."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packing.built().content)) as old,
        zipfile.ZipFile(packed, "w") as new,
    ):
        for name in old.namelist():
            renamed = name.replace(f"-{__version__}.", f"-{version}.")
            content = old.read(name)
            if name in ("deployx_agent/__init__.py",) or name.endswith("/METADATA"):
                content = content.replace(__version__.encode(), version.encode())
            new.writestr(renamed, change(name, content))
    return packed.getvalue()


def broken(module: str, code: str) -> Change:
    """That module does this before all else."""

    def change(name: str, content: bytes) -> bytes:
        if name != f"deployx_agent/{module}.py":
            return content
        return content.replace(
            b"from __future__ import annotations\n",
            b"from __future__ import annotations\n" + code.encode() + b"\n",
            1,
        )

    return change


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As install.sh leaves it."""
    prefix = tmp_path_factory.mktemp("prefix")
    environment = prefix / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    [site] = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(io.BytesIO(packing.built().content)) as archive:
        archive.extractall(site)
    packages = prefix / "needed"
    packages.mkdir()
    for name in NEEDED:
        origin = place_of(name)
        (packages / origin.name).symlink_to(origin)
    (site / "needed.pth").write_text(f"{packages}\n")
    return prefix


class InstalledAgent(AgentProcess):
    """The environment's own program."""

    prefix: Path

    def command(self) -> tuple[str, ...]:
        return (str(self.prefix / "venv/bin/python"), "-I", "-m", "deployx_agent")

    @property
    def version(self) -> str:
        return self.server.hellos[-1].agent_version


@pytest_asyncio.fixture
async def installed(
    prefix: Path, state: StateDir, server: FakeServer
) -> AsyncIterator[InstalledAgent]:
    """Not yet started."""
    shutil.rmtree(prefix / "agents", ignore_errors=True)
    agent = InstalledAgent(state, server)
    agent.prefix = prefix
    agent.environment["DEPLOYX_AGENT_TRIAL_SECONDS"] = "300"
    enroll_by_hand(state, server)
    yield agent
    await agent.kill()


@pytest_asyncio.fixture
async def agent(installed: InstalledAgent) -> InstalledAgent:
    await installed.start()
    return installed


def offer(server: FakeServer, content: bytes, version: str = NEWER, **terms: Any) -> Update:
    """Signed, and the wheel there to be fetched."""
    server.files[f"/agent/deployx_agent-{version}-py3-none-any.whl"] = content
    told = {
        "version": version,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        **terms,
    }
    data = json.dumps(told).encode()
    signature = protocol.sign(server.private_key, protocol.update_bytes(data))
    return Update(server.key_id, data, signature)


async def updated(agent: InstalledAgent, version: str = NEWER) -> None:
    """It runs as that version, once its trial has gone."""
    hellos = agent.server.hellos
    await agent.server.until(
        lambda: [one.agent_version for one in hellos[-2:]] == [version, version], "the update"
    )


async def failed(agent: InstalledAgent) -> str:
    """Why it was not taken, as the old version tells."""

    def told() -> dict[str, str] | None:
        facts = [agent.server.hellos[-1].facts, *(f.facts for f in agent.server.frames(Facts))]
        return next((one["update_failed"] for one in facts if "update_failed" in one), None)

    await agent.server.until(lambda: told() is not None, "a failure")
    said = told()
    assert said is not None
    return said["why"]


async def works(agent: InstalledAgent) -> bool:
    run = await agent.server.do({"command": "exit 0"})
    return (await agent.server.ended(run)).outcome is Outcome.SUCCEEDED


async def test_a_command_goes_on_through_an_update_and_is_adopted(
    server: FakeServer, agent: InstalledAgent, gate: Gate
) -> None:
    run = await server.do({"command": f"echo up; {gate.wait}; echo down; exit 3"})
    await server.until(lambda: run.output == b"up\n", "the command")
    pid, starts = agent.pid, run.starts

    await server.send(offer(server, wheel(NEWER)))
    await updated(agent)
    gate.open()

    result = await server.ended(run)
    assert (result.exit_code, run.output) == (3, b"up\ndown\n")
    assert run.starts == starts
    assert agent.pid == pid
    assert await works(agent)
    assert "update_failed" not in server.hellos[-1].facts


async def test_it_starts_as_the_new_version_from_then_on(
    server: FakeServer, agent: InstalledAgent
) -> None:
    await server.send(offer(server, wheel(NEWER)))
    await updated(agent)
    await agent.restart()
    assert agent.version == NEWER
    assert await works(agent)


async def test_and_is_updated_again(server: FakeServer, agent: InstalledAgent) -> None:
    await server.send(offer(server, wheel(NEWER)))
    await updated(agent)
    await server.until(lambda: len(server.frames(protocol.Poll)) > 0, "a session")
    await server.send(offer(server, wheel("1.1.0"), "1.1.0"))
    await updated(agent, "1.1.0")
    assert await works(agent)


async def test_what_waits_to_start_is_given_back(server: FakeServer, agent: InstalledAgent) -> None:
    server.answers_start = False
    run = await server.do({"command": "exit 0"})
    await server.saw(protocol.Start, run)
    await server.send(offer(server, wheel(NEWER)))
    await server.saw(protocol.Giveback, run)
    server.answers_start = True
    await updated(agent)
    assert (await server.ended(run)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (broken("client", "raise RuntimeError('broken wheel')"), "broken wheel"),
        (broken("kinds/command", "raise RuntimeError('no such kind')"), "no such kind"),
        (lambda _name, content: content.replace(b'"1.0.1"', b'"7.7.7"'), "says it is"),
        (lambda name, content: b"" if name.endswith("/frames.py") else content, "cannot import"),
    ],
    ids=["client", "kind", "version", "empty"],
)
async def test_a_version_that_does_not_work_is_not_taken(
    server: FakeServer, agent: InstalledAgent, change: Change, said: str
) -> None:
    await server.send(offer(server, wheel(NEWER, change)))
    assert said in await failed(agent)
    await server.until(lambda: agent.version == __version__, "the old version")
    assert await works(agent)


async def test_a_version_that_cannot_connect_is_rolled_back_in_time(
    server: FakeServer, installed: InstalledAgent
) -> None:
    installed.environment["DEPLOYX_AGENT_TRIAL_SECONDS"] = "10"  # to have tried it at least once
    await installed.start()

    def astray(name: str, content: bytes) -> bytes:
        here = b"            server.socket,\n"
        assert name != "deployx_agent/client.py" or here in content
        return content.replace(here, b"            server.socket + 'x',\n")

    await server.send(offer(server, wheel(NEWER, astray)))
    assert "not welcomed" in await failed(installed)
    await server.until(lambda: installed.version == __version__, "the old version")
    assert await works(installed)


@pytest.mark.parametrize("tampered", [b"", b"PK\x03\x04 not a wheel"])
async def test_what_has_another_digest_is_not_installed(
    server: FakeServer, agent: InstalledAgent, tampered: bytes
) -> None:
    update = offer(server, wheel(NEWER))
    path = next(iter(server.files))
    server.files[path] = tampered + server.files[path][len(tampered) :][:-1] + b"!"
    await server.send(update)
    assert "digest" in await failed(agent)
    assert not list((agent.prefix / "agents").glob("*/complete"))
    assert await works(agent)


async def test_a_wheel_that_is_longer_than_signed_is_not_read_to_its_end(
    server: FakeServer, agent: InstalledAgent
) -> None:
    update = offer(server, wheel(NEWER))
    path = next(iter(server.files))
    server.files[path] += b"x" * 1_000_000
    await server.send(update)
    assert "more than" in await failed(agent)


async def test_a_wheel_that_would_write_elsewhere_is_not_unpacked(
    server: FakeServer, agent: InstalledAgent
) -> None:
    packed = io.BytesIO(wheel(NEWER))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("deployx_agent/../../../../evil.py", "")
    await server.send(offer(server, packed.getvalue()))
    assert "does not belong" in await failed(agent)


async def test_a_forged_offer_is_not_even_fetched(
    server: FakeServer, agent: InstalledAgent
) -> None:
    good = offer(server, wheel(NEWER))
    await server.send(Update(good.key_id, good.terms, bytes(64)))
    assert await works(agent)
    assert server.fetched == []


# The power is cut.


async def test_in_mid_download(server: FakeServer, agent: InstalledAgent) -> None:
    server.gives_files.clear()
    update = offer(server, wheel(NEWER))
    await server.send(update)
    await server.until(lambda: bool(server.fetched), "a download")
    await agent.kill()
    server.gives_files.set()
    await agent.start()
    assert agent.version == __version__
    await server.send(update)
    await updated(agent)


async def test_in_mid_installation(server: FakeServer, agent: InstalledAgent) -> None:
    content = wheel(NEWER)
    half = agent.prefix / "agents" / hashlib.sha256(content).hexdigest()[:16]
    (half / "lib/python3.11/site-packages/deployx_agent").mkdir(parents=True)
    (half / "bin").mkdir()
    (half / "bin/python").write_text("#!/bin/false\n")
    await server.send(offer(server, content))
    await updated(agent)


async def test_in_mid_trial(server: FakeServer, agent: InstalledAgent, tmp_path: Path) -> None:
    """The trial ends with the agent that began it."""
    mark = tmp_path / "tried"
    lines = (
        "import pathlib, sys",
        "if 'try-out' in sys.argv:",
        f"    pathlib.Path({str(mark)!r}).touch()",
        "    sys.stdin.buffer.read(); sys.exit(1)",
    )
    code = "\n".join(lines)
    await server.send(offer(server, wheel(NEWER, broken("client", code))))
    await eventually(mark.exists)
    await agent.kill()
    await agent.start()
    assert agent.version == __version__
    assert updating.newer(agent.state) is None
    await server.send(offer(server, wheel("1.0.2"), "1.0.2"))
    await updated(agent, "1.0.2")


async def test_right_after_it_was_taken(server: FakeServer, agent: InstalledAgent) -> None:
    await server.send(offer(server, wheel(NEWER)))
    await updated(agent)
    await agent.kill()
    await agent.start()
    assert agent.version == NEWER


async def test_a_version_that_never_comes_to_serve_is_given_up(
    server: FakeServer, installed: InstalledAgent, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    updating.take(Chosen(NEWER, "0" * 64, str(program)), installed.state)
    for _ in range(updating.MOST_STARTS):
        await installed.launch()
        assert await installed.ended() == 7
    await installed.start()
    assert installed.version == __version__
    assert "never came to serve" in await failed(installed)


async def test_a_version_whose_files_are_gone_is_not_started(
    server: FakeServer, installed: InstalledAgent, tmp_path: Path
) -> None:
    updating.take(Chosen(NEWER, "0" * 64, str(tmp_path / "gone")), installed.state)
    await installed.start()
    assert installed.version == __version__


async def test_an_agent_out_of_a_checkout_says_that_it_cannot(
    server: FakeServer, enrolled: AgentProcess
) -> None:
    await enrolled.start()
    await server.send(offer(server, wheel(NEWER)))
    await server.until(lambda: bool(server.frames(Facts)), "facts")
    assert "install.sh" in server.frames(Facts)[-1].facts["update_failed"]["why"]
    assert os.getpid() != enrolled.pid
