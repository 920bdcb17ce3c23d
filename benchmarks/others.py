"""What the same takes with tools people know, where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks import salt

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


def measure(*, install: bool = False) -> list[Other]:
    """`install` puts each into an environment of its own where there is none."""
    with tempfile.TemporaryDirectory(prefix="deployx-others-") as folder:
        ansible = _program("ansible", "ansible-core", Path(folder), install=install)
        found = _program("salt", "salt", Path(folder), install=install)
        return [_ansible(ansible), _salt(found, Path(folder))]


def _program(name: str, package: str, folder: Path, *, install: bool) -> Path | None:
    """Where it is; None where it is not, and could not be installed."""
    if found := shutil.which(name):
        return Path(found)
    if not install:
        return None
    environment = folder / name
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "pip"), "install", "-q", package]
    done = subprocess.run(pip, capture_output=True, check=False)
    return environment / "bin" / name if done.returncode == 0 else None


def _ansible(program: Path | None) -> Other:
    """`-c local`: without the SSH that it takes to reach a machine, all the better for Ansible."""
    name = f"ansible -m command -f {FORKS} -c local"
    if program is None:
        return Other(name, why_not="not installed")
    with tempfile.TemporaryDirectory(prefix="deployx-ansible-") as folder:
        inventory = Path(folder) / "hosts"
        python = f"ansible_python_interpreter={sys.executable}"
        inventory.write_text("".join(f"host{n} {python}\n" for n in range(HOSTS)))
        argv = [str(program), "all", "-i", str(inventory), "-c", "local", "-f", str(FORKS)]
        return _timed(name, [*argv, "-m", "command", "-a", "true"], HOSTS)


def _salt(program: Path | None, folder: Path) -> Other:
    name = "salt cmd.run"
    if program is None:
        return Other(name, why_not="not installed")
    place = folder / "fleet"
    place.mkdir()
    with salt.minions(program.parent, place, HOSTS) as salt_of:
        return _timed(name, [*salt_of, "*", "cmd.run", "/bin/true"], HOSTS)


def _timed(name: str, argv: list[str], hosts: int) -> Other:
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=WITHIN_SECONDS)
    if done.returncode != 0:
        return Other(name, why_not=(done.stderr or done.stdout).strip()[-200:])
    return Other(name, hosts, time.perf_counter() - began)
