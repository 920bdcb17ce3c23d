"""What the same takes with tools people know, where they are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

HOSTS = 20
FORKS = 20
WITHIN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Other:
    """`seconds` from start to end for so many `hosts`; `why_not` where it could not be measured."""

    name: str
    hosts: int = 0
    seconds: float = 0.0
    why_not: str = ""

    @property
    def per_host(self) -> float:
        return self.seconds / self.hosts


def measure(*, install_ansible: bool = False) -> list[Other]:
    """`install_ansible` puts one into an environment of its own where there is none."""
    with tempfile.TemporaryDirectory(prefix="deployx-others-") as folder:
        program = shutil.which("ansible")
        if program is None and install_ansible:
            program = _installed_ansible(Path(folder))
        return [_ansible(program), _salt()]


def _installed_ansible(folder: Path) -> str | None:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "install", "-q", "ansible-core"]
    done = subprocess.run(pip, capture_output=True, check=False)
    return str(folder / "bin" / "ansible") if done.returncode == 0 else None


def _ansible(program: str | None) -> Other:
    """`-c local`: without the SSH that it takes to reach a machine, all the better for Ansible."""
    name = f"ansible -m command -f {FORKS} -c local"
    if program is None:
        return Other(name, why_not="not installed")
    with tempfile.TemporaryDirectory(prefix="deployx-ansible-") as folder:
        inventory = Path(folder) / "hosts"
        python = f"ansible_python_interpreter={sys.executable}"
        inventory.write_text("".join(f"host{n} {python}\n" for n in range(HOSTS)))
        argv = [program, "all", "-i", str(inventory), "-c", "local", "-f", str(FORKS)]
        return _timed(name, [*argv, "-m", "command", "-a", "true"], HOSTS)


def _salt() -> Other:
    """Against whatever minions its master has."""
    name = "salt cmd.run"
    program = shutil.which("salt")
    if program is None:
        return Other(name, why_not="not installed")
    done = subprocess.run(
        [program, "*", "test.ping", "--out", "json", "--static"],
        capture_output=True, text=True, check=False, timeout=WITHIN_SECONDS,
    )  # fmt: skip
    try:
        minions = len(json.loads(done.stdout))
    except ValueError:
        minions = 0
    if done.returncode != 0 or not minions:
        return Other(name, why_not="its master has no minions")
    return _timed(name, [program, "*", "cmd.run", "true"], minions)


def _timed(name: str, argv: list[str], hosts: int) -> Other:
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=WITHIN_SECONDS)
    if done.returncode != 0:
        return Other(name, why_not=(done.stderr or done.stdout).strip()[-200:])
    return Other(name, hosts, time.perf_counter() - began)
