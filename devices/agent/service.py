"""The agent as a service of systemd: `deployx-agent install` and `uninstall`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import durable, updating
from .config import ConfigError, StateDir

NAME = "deployx-agent.service"
UNITS = Path("/etc/systemd/system")
_STATE_FOLDERS = Path("/var/lib")
_PLAIN = re.compile(r"[A-Za-z0-9@+=:,./_-]+")
_NOT_RUNNING = {"", "offline", "unknown"}
_TIMEOUT_SECONDS = 90.0

# Commands live in the agent's unit, so whatever fenced the agent in (ProtectSystem, PrivateTmp,
# NoNewPrivileges, system-call filters, limits) would hinder them: a policy file limits those instead.
_UNIT = """\
[Unit]
Description=DeployX agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={command}
Restart=always
RestartSec=5
# Stopped, updated or killed, the agent leaves commands alone and finds them again.
KillMode=process
# One command without memory ends by itself, not with the agent and all others.
OOMPolicy=continue
TasksMax=infinity
# A cgroup for each run below its own: what is to be killed is killed in one step.
Delegate=yes
UMask=0077
{state}
[Install]
WantedBy=multi-user.target
"""


class ServiceFailed(Exception):
    """systemd refused; the text is its own."""


@dataclass(frozen=True, slots=True)
class Systemd:
    """Where `root` is given, everything is written below it and no service is started or stopped."""

    root: Path | None = None
    units: Path = UNITS

    @property
    def path(self) -> Path:
        below = self.units if self.root is None else self.root / self.units.relative_to("/")
        return below / NAME

    def require(self) -> None:
        """Raises ConfigError where no systemd runs, or this account may not change it."""
        if self.root is not None:
            return
        if not _runs_systemd():
            raise ConfigError(
                "this machine does not run systemd; have something else start: deployx-agent run"
            )
        if not os.access(self.units, os.W_OK):
            raise ConfigError(f"{self.units} cannot be written: do this as root")

    def install(self, program: Path, state: StateDir, *, restart: bool = False) -> bool:
        """Whether the unit has changed. The service runs afterwards and after each boot; one
        that runs already is started anew only for a changed unit or where that is asked for.
        Raises ConfigError, ServiceFailed."""
        self.require()
        wanted = unit_text(program, state.path).encode()
        is_new = not self.path.exists() or self.path.read_bytes() != wanted
        if is_new:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            durable.write(self.path, wanted, mode=0o644)
            self.path.chmod(0o644)  # whatever the umask took from it
            self._systemctl("daemon-reload")
        self._systemctl("enable", NAME)
        self._systemctl("restart" if is_new or restart else "start", NAME)
        return is_new

    def uninstall(self) -> bool:
        """Whether there was a unit. Raises ConfigError, ServiceFailed."""
        self.require()
        if not self.path.exists():
            return False
        self._systemctl("disable", "--now", NAME)
        self.path.unlink()
        durable.sync_folder(self.path.parent)
        self._systemctl("daemon-reload")
        return True

    def _systemctl(self, *words: str) -> None:
        if self.root is None:
            done = _call("systemctl", "--quiet", *words)
            if done.returncode != 0:
                raise ServiceFailed(f"systemctl {' '.join(words)}: {done.stderr.strip()}")


def unit_text(program: Path, state: Path) -> str:
    command = [str(program), "run", "--state-dir", str(state)]
    folder = ""
    if state.parent == _STATE_FOLDERS and _PLAIN.fullmatch(state.name):
        folder = f"StateDirectory={state.name}\nStateDirectoryMode=0700\n"
    return _UNIT.format(command=" ".join(map(_quoted, command)), state=folder)


def program() -> Path:
    """The program of the environment this agent was installed into. Raises ConfigError."""
    found = Path(sys.executable).with_name("deployx-agent")
    if not found.is_file():
        raise ConfigError(f"there is no {found}: install the agent's wheel first")
    return found


def purge(state: StateDir) -> list[str]:
    """Remove an agent's identity, its journal and what it kept; the names in its folder that are
    not its own, and are left there."""
    for path in (state.server, state.key, state.journal, *updating.files(state), state.lock):
        for one in (path, path.with_name(path.name + ".new")):
            one.unlink(missing_ok=True)
    for folder in (state.runs, state.files, state.memories):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        state.path.rmdir()
    return sorted(one.name for one in state.path.iterdir()) if state.path.exists() else []


def _quoted(word: str) -> str:
    """As systemd.service(5), "Command lines", and systemd.syntax(7), "Quoting", say."""
    if _PLAIN.fullmatch(word):
        return word
    if not word.isprintable():
        raise ConfigError(f"{word!r} cannot stand in a unit")
    for letter, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(letter, written)
    return f'"{word}"'


def _runs_systemd() -> bool:
    try:
        said = _call("systemctl", "is-system-running").stdout.strip()
    except FileNotFoundError:
        return False
    return said not in _NOT_RUNNING


def _call(*words: str) -> subprocess.CompletedProcess[str]:
    """Raises FileNotFoundError, ServiceFailed."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceFailed(f"{' '.join(words)}: no answer in time") from None
