"""The wheel holds the whole agent, needs nothing of the server, and is the same bytes each time."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from devices import wheel as packing
from devices.agent import __version__
from devices.agent.protocol import Outcome

from .conftest import ROOT, AgentProcess
from .fake_server import FakeServer

AGENT = ROOT / "devices" / "agent"
NEEDED = ("websockets", "cryptography", "psutil", "cffi", "_cffi_backend")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = packing.built()
    path = tmp_path_factory.mktemp("wheel") / built.name
    path.write_bytes(built.content)
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of an environment that holds the wheel and the three packages it asks for."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = ["pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", *install], check=True, capture_output=True)
    packages = folder / "needed"
    packages.mkdir()
    for name in NEEDED:
        origin = place_of(name)
        (packages / origin.name).symlink_to(origin)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(f"{packages}\n")
    return folder / "bin"


def place_of(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    origin = Path(found.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return done.stdout


def test_it_installs_a_program_that_says_what_it_is(environment: Path) -> None:
    program = environment / "deployx-agent"

    assert said(program, "--version") == f"deployx-agent {__version__}\n"
    assert {"enroll", "run", "status", "trust", "install", "uninstall"} <= set(
        said(program, "--help").split()
    )


def test_it_needs_nothing_of_the_server(environment: Path) -> None:
    loaded = said(
        environment / "python",
        "-I",
        "-c",
        "import deployx_agent.__main__, deployx_agent.shim, deployx_agent.kinds as kinds, sys\n"
        "kinds.every()\n"
        "print(*sys.modules)",
    ).split()

    assert "deployx_agent.client" in loaded
    assert not {"devices", "django", "scheduling", "accounts", "deployx"} & set(loaded)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        said(environment / "python", "-I", "-c", "import django")
    assert "No module named 'django'" in refused.value.stderr


def test_every_module_of_the_agent_is_in_it_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        [names] = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        entry = archive.read(names).decode()

    modules = {f"deployx_agent/{path.relative_to(AGENT)}" for path in AGENT.rglob("*.py")}
    assert packed == {*modules, "deployx_agent/py.typed"}
    assert "deployx-agent = deployx_agent.__main__:main" in entry


def test_packed_by_another_process_at_another_place_it_is_the_same_bytes(
    wheel: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}

    subprocess.run(
        [sys.executable, "-m", "devices.wheel", str(tmp_path / "new" / "folder")],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        umask=0o077,
    )

    again = tmp_path / "new" / "folder" / wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_a_builder_of_others_makes_the_same_of_the_sources(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path)]
    subprocess.run([*command, str(AGENT)], check=True, capture_output=True, cwd=tmp_path)
    theirs = tmp_path / wheel.name

    assert contents(theirs) == contents(wheel)
    ours, other = metadata(wheel), metadata(theirs)
    for field in ("Name", "Version", "Summary", "License-Expression", "Requires-Python"):
        assert ours[field] == other[field]
    assert ours.get_all("Classifier") == other.get_all("Classifier")
    assert requirements(ours) == requirements(other)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        return {name: archive.read(name) for name in names}


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith("/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def requirements(found: Message) -> set[Requirement]:
    return {Requirement(one) for one in found.get_all("Requires-Dist", [])}


class InstalledAgent(AgentProcess):
    """The wheel's own program."""

    program: Path

    def command(self) -> tuple[str, ...]:
        return (str(self.program),)


async def test_installed_it_runs_what_it_is_told(
    environment: Path, enrolled: AgentProcess, server: FakeServer
) -> None:
    agent = InstalledAgent(enrolled.state, server)
    agent.program = environment / "deployx-agent"
    await agent.start()

    run = await server.do({"command": "echo hello; exit 3"})
    result = await server.ended(run)

    assert (result.outcome, result.exit_code, run.output) == (Outcome.FAILED, 3, b"hello\n")
    assert await agent.end() == 0
