"""What install.sh refuses before it touches anything; tests/end_to_end has it install an agent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devices import installing, wheel


class Machine:
    """Runs the script as `curl … | sh -s --` does, with programs of the test's own first in PATH."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "prefix"
        self.programs = folder / "bin"
        self.programs.mkdir()

    def has(self, name: str, script: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def runs(self, *arguments: str, script: str | None = None, **environment: str) -> str:
        """What it complains of; it has failed and made nothing."""
        done = subprocess.run(
            ["sh", "-s", "--", *arguments],
            input=script or installing.script(),
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "PREFIX": str(self.prefix),
                "PYTHON": sys.executable,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert not self.prefix.exists()
        return done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "http://deployx.example",
        "http://localhost.example",
        "http://127.0.0.1.example:80",
        "http://localhost:80@deployx.example",
        "ftp://127.0.0.1",
    ],
)
def test_plain_http_may_lead_to_this_machine_alone(
    machine: Machine, settings: Any, address: str
) -> None:
    settings.DEPLOYX_PUBLIC_URL = address
    assert f"{address} is refused: plain http://" in machine.runs("--no-service")


@pytest.mark.parametrize(
    "address",
    [
        "https://localhost:1",
        "http://127.0.0.1:1/deployx",
        "http://localhost:1",
        "http://[::1]:1",
    ],
)
def test_a_server_that_does_not_answer_is_named(
    machine: Machine, settings: Any, address: str
) -> None:
    settings.DEPLOYX_PUBLIC_URL = address
    said = machine.runs("--no-service")
    assert f"{address}/agent/deployx_agent-" in said
    assert "cannot be fetched" in said
    assert "nothing was installed" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--token", "dxe_1"], "there is no option --token"),
        (["--token-file"], "--token-file needs a value"),
        (["--name", ""], "--name needs a value"),
        (["--prefix", "opt"], "opt must begin with /"),
    ],
)
def test_a_wrong_option_is_named(machine: Machine, arguments: list[str], complaint: str) -> None:
    assert complaint in machine.runs(*arguments)


def test_a_python_that_is_missing_or_too_old_is_named(machine: Machine) -> None:
    assert "there is no python9" in machine.runs("--no-service", PYTHON="python9")
    machine.has("python3", 'case $1 in --version) echo "Python 3.9.2";; *) exit 1;; esac')
    assert "Python 3.9.2 is too old" in machine.runs("--no-service", PYTHON="python3")


def test_a_python_without_environments_says_which_package_to_install(machine: Machine) -> None:
    machine.has("python3", "case $2 in *ensurepip*) exit 1;; esac")
    assert "apt-get install python3-venv" in machine.runs("--no-service", PYTHON="python3")


def test_only_root_may_make_a_service(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    assert "run it as root" in machine.runs()


def test_without_systemd_it_says_what_to_do_instead(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("systemctl", "echo offline; exit 1")
    assert "add --no-service" in machine.runs()


def enrolled(folder: Path, url: str) -> list[str]:
    """A machine that has the agent and is a device of this server; the options that say where."""
    prefix, state = folder / "prefix", folder / "state"
    agent = prefix / "venv/bin/deployx-agent"
    for place in (agent.parent, state):
        place.mkdir(parents=True)
    agent.write_text(f"#!/bin/sh\necho 'server       {url}'\n")
    agent.chmod(0o755)
    (prefix / "wheel.sha256").write_text(wheel.built().sha256)
    (state / "server.json").touch()
    return ["--prefix", str(prefix), "--state-dir", str(state)]


def installed(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-s", "--", *arguments],
        input=installing.script(),
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("root", [None, "root"])
def test_what_came_by_itself_is_not_started_in_place_of_what_is_installed(
    tmp_path: Path, settings: Any, root: str | None
) -> None:
    """`deployx-agent install` sees to it where there is a service."""
    where, state = enrolled(tmp_path, settings.DEPLOYX_PUBLIC_URL), tmp_path / "state"
    for name in ("update.json", "update-starts.json", "journal"):
        (state / name).touch()
    given = ["--root", str(tmp_path / root)] if root else ["--no-service"]
    installed(*where, *given)
    assert {path.name for path in state.iterdir()} == {"server.json", "journal"}


def test_a_token_that_an_enrolled_machine_does_not_use_is_named(
    tmp_path: Path, settings: Any
) -> None:
    where = [*enrolled(tmp_path, settings.DEPLOYX_PUBLIC_URL), "--no-service"]
    assert "token" not in installed(*where)
    with_file = installed(*where, "--token-file", str(tmp_path / "token"))
    for said in (with_file, installed(*where, DEPLOYX_ENROLL_TOKEN="dxe_1")):
        assert "The token was not used" in said
        command = f"deployx-agent enroll --force --state-dir {tmp_path}/state --token-file FILE"
        assert command in said


def test_of_a_script_that_arrives_cut_off_nothing_runs(machine: Machine) -> None:
    whole = installing.script()
    cut = whole[: whole.rindex("main ")] + "exit 1\n"
    assert machine.runs("--no-service", PYTHON="python9", script=cut) == ""
