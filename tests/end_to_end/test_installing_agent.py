"""A machine becomes a device by the one line of the page, without an index, a root or a systemd."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import httpx
import pytest

from devices import wheel
from devices.agent import __version__
from tests.end_to_end.conftest import command
from tests.running import RunningSystem, until

# Each installs with pip into an environment of its own, which a busy machine takes long for.
pytestmark = pytest.mark.timeout(900)
NEEDED = ("websockets", "cryptography", "psutil", "cffi", "pycparser")
UNIT = Path("etc/systemd/system/deployx-agent.service")


@dataclass(frozen=True, slots=True)
class Machine:
    """`folder` is all it has: what the script would write below / is below it."""

    system: RunningSystem
    folder: Path
    index: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def program(self) -> Path:
        return self.folder / "prefix/venv/bin/deployx-agent"

    def install(
        self, script: str, *arguments: str, token: str = ""
    ) -> subprocess.CompletedProcess[str]:
        places = {"--prefix": "prefix", "--state-dir": "state", "--root": "root"}
        given = [word for name, at in places.items() for word in (name, str(self.folder / at))]
        return subprocess.run(
            ["sh", "-s", "--", *given, *arguments],
            input=script,
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": sys.executable,
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.index),
                "DEPLOYX_ENROLL_TOKEN": token,
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def agent(self, *arguments: str) -> str:
        """What the installed program says when it has done this."""
        line = [str(self.program), *arguments, "--state-dir", str(self.state)]
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout

    def files(self) -> dict[str, tuple[int, int]]:
        """Of every file, which one it is and when it was written."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        kept = (path for path in found if "__pycache__" not in path.parts)
        return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in kept}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that the agent needs, packed again from where they are installed here."""
    folder = tmp_path_factory.mktemp("index")
    for name in NEEDED:
        pack(distribution(name), folder)
    return folder


def pack(installed: Distribution, folder: Path) -> None:
    described = installed.read_text("WHEEL") or ""
    [tag, *_] = [line[5:] for line in described.splitlines() if line.startswith("Tag: ")]
    name = f"{installed.name.replace('-', '_')}-{installed.version}"
    record, rows = io.StringIO(), 0
    with zipfile.ZipFile(folder / f"{name}-{tag}.whl", "w") as archive:
        for file in installed.files or []:
            if file.parts[0] == ".." or file.name in {"RECORD", "INSTALLER", "REQUESTED"}:
                continue
            content = Path(str(file.locate())).read_bytes() if file.suffix != ".pyc" else b""
            if content or file.suffix != ".pyc":
                archive.writestr(str(file), content)
                coded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
                csv.writer(record).writerow([file, f"sha256={coded.decode()}", len(content)])
                rows += 1
        [info] = {part.parts[0] for part in installed.files or [] if part.name == "METADATA"}
        csv.writer(record).writerow([f"{info}/RECORD", "", ""])
        archive.writestr(f"{info}/RECORD", record.getvalue())
    assert rows > 0


@pytest.fixture(scope="module")
def script(system: RunningSystem) -> str:
    return httpx.get(f"{system.address}/agent/install.sh", timeout=60).raise_for_status().text


@pytest.fixture(scope="module")
def machine(
    system: RunningSystem, script: str, index: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """Installed and enrolled, its agent not yet started."""
    machine = Machine(system, tmp_path_factory.mktemp("machine"), index)
    token_file = machine.folder / "deployx.token"
    token_file.write_text(system.manage("enroll-token", "add").stdout)
    done = machine.install(script, "--token-file", str(token_file), "--name", "by the one line")
    assert done.returncode == 0, done.stdout + done.stderr
    return machine


@pytest.fixture
def device(machine: Machine) -> Iterator[dict[str, Any]]:
    """Its device, online: what the unit names has been started."""
    line = (machine.folder / "root" / UNIT).read_text().split("ExecStart=")[1].splitlines()[0]
    with subprocess.Popen(shlex.split(line), env={}, stderr=subprocess.DEVNULL) as agent:

        def online() -> dict[str, Any] | None:
            assert agent.poll() is None
            found = machine.system.get("/api/devices", status="online")["results"]
            return next((one for one in found if one["name"] == "by the one line"), None)

        found = until(online, what="the installed agent online")
        yield found
        agent.terminate()
        agent.wait(60)
    # Other tests take whichever device is online.
    assert machine.system.api.delete(f"/api/devices/{found['id']}").status_code == 204


def test_it_runs_what_it_is_told(device: dict[str, Any], system: RunningSystem) -> None:
    wanted = command(system, "echo hello; exit 3", device_ids=[device["id"]])
    task = system.post("/api/schedule/tasks", wanted)

    execution = system.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    system.ended(execution["id"])

    [run] = system.runs(execution["id"])
    assert (run["device_name"], run["exit_code"]) == ("by the one line", 3)
    assert system.output(run["id"])["text"] == "hello\n"


def test_what_is_installed_is_what_the_server_runs(machine: Machine) -> None:
    assert f"version      {__version__}\n" in machine.agent("status")
    assert (machine.folder / "prefix/wheel.sha256").read_text().strip() == wheel.built().sha256
    assert f"server       {machine.system.address}\n" in machine.agent("status")


def test_a_second_time_it_changes_nothing_and_needs_no_token(machine: Machine, script: str) -> None:
    before = machine.files()

    done = machine.install(script)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Enrolled already." in done.stdout
    assert "unchanged:" in done.stdout
    assert machine.files() == before


def test_another_wheel_of_the_same_version_takes_its_place(machine: Machine, script: str) -> None:
    module = next(
        machine.folder.glob("prefix/venv/lib/python*/site-packages/deployx_agent/shim.py")
    )
    whole = module.read_bytes()
    module.write_bytes(whole + b"# of an older build\n")
    (machine.folder / "prefix/wheel.sha256").write_text("an older build's\n")

    done = machine.install(script)

    assert (done.returncode, done.stderr) == (0, "")
    assert module.read_bytes() == whole


def test_a_state_of_another_server_is_left_alone(machine: Machine, script: str) -> None:
    before = machine.files()
    address = machine.system.address
    elsewhere = script.replace(address, address.replace("127.0.0.1", "localhost"))

    done = machine.install(elsewhere)

    assert done.returncode == 1
    assert "belongs to a device of another server" in done.stderr
    assert machine.files() == before


def test_a_wheel_with_another_digest_is_not_installed(
    system: RunningSystem, script: str, index: Path, tmp_path: Path
) -> None:
    wrong = "0" * 64
    done = Machine(system, tmp_path, index).install(script.replace(wheel.built().sha256, wrong))

    assert done.returncode == 1
    assert f"has the SHA-256 {wheel.built().sha256}, not {wrong}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_uninstalled_nothing_is_left_but_the_program(
    system: RunningSystem, script: str, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "prefix").symlink_to(machine.folder / "prefix")
    other = Machine(system, tmp_path, machine.index)
    token = system.manage("enroll-token", "add").stdout.strip()
    # Not under the hostname, by which the system's own agent goes.
    assert other.install(script, "--name", "uninstalled", token=token).returncode == 0
    assert (tmp_path / "root" / UNIT).exists()

    other.agent("uninstall", "--purge", "--yes", "--root", str(tmp_path / "root"))

    left = {path.name for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left <= {"prefix"}  # the link
    assert not other.state.exists()
