"""What this device lets itself be told: a file its own administrator writes.

    kinds = ["command"]
    shells = ["sh", "bash"]
    run_as = ["deploy"]
    directories = ["/srv", "/opt/app"]
    longest_timeout_seconds = 3600

`shells` binds every command that a run brings, those of software too, which the device's own runs.
A name left out restricts nothing, except `run_as`: without it only the agent's own account. With it
only those named, the agent's own account too: a payload that names none means that one.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Settings
from .kinds import Requirements
from .platforms import SYSTEM, account_name

_LISTS = ("kinds", "shells", "run_as", "directories")
_NAMES = (*_LISTS, "longest_timeout_seconds")


@dataclass(frozen=True, slots=True)
class Policy:
    kinds: tuple[str, ...] | None = None
    shells: tuple[str, ...] | None = None
    run_as: tuple[str, ...] | None = None
    directories: tuple[str, ...] | None = None
    longest_timeout_seconds: int | None = None
    broken: str | None = None
    """Why the file could not be used; then nothing at all is allowed."""

    def objection(self, kind: str, timeout_seconds: int, needs: Requirements) -> str | None:
        """Why the run may not run here, or None."""
        shell = needs.shell_on(SYSTEM)
        if self.broken is not None:
            return self.broken
        if self.kinds is not None and kind not in self.kinds:
            return f"kind {kind} is not allowed on this device"
        if self.shells is not None and shell is not None and shell not in self.shells:
            return f"shell {shell} is not allowed on this device"
        account = needs.run_as or account_name()
        if account not in ((account_name(),) if self.run_as is None else self.run_as):
            return f"running as {account} is not allowed on this device"
        longest = self.longest_timeout_seconds
        if longest is not None and timeout_seconds > longest:
            return f"the timeout is over the {longest} s this device allows"
        outside = [path for path in needs.directories if not self._covers(path)]
        return f"{outside[0]} is outside the directories this device allows" if outside else None

    def _covers(self, path: str) -> bool:
        if self.directories is None:
            return True
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(os.path.realpath(allowed)) for allowed in self.directories)


def load(settings: Settings) -> Policy:
    """The policy as it stands now; without a file, the one that restricts `run_as` alone."""
    path = settings.policy
    try:
        with path.open("rb") as file:
            for what, found in (("file", os.fstat(file.fileno())), ("folder", path.parent.stat())):
                if complaint := _ownership(found, settings.policy_is_default):
                    place = path if what == "file" else path.parent
                    return Policy(broken=f"the policy {what} {place} {complaint}")
            return _parse(tomllib.load(file))
    except FileNotFoundError:
        return Policy()
    except (OSError, ValueError) as problem:
        return Policy(broken=f"the policy file {path} cannot be used: {problem}")


def _ownership(found: os.stat_result, is_default: bool) -> str | None:
    if os.name == "nt":
        return None
    owners = {0} if is_default else {0, os.geteuid()}
    if found.st_uid not in owners:
        return "is not owned by root"
    is_sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_sticky:
        return "can be written by others than its owner"
    return None


def _parse(raw: dict[str, Any]) -> Policy:
    unknown = sorted(set(raw) - set(_NAMES))
    if unknown:
        raise ValueError(f"unknown name {', '.join(unknown)}")
    for name in _LISTS:
        value = raw.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{name} must be a list of texts")
    longest = raw.get("longest_timeout_seconds")
    if longest is not None and (type(longest) is not int or longest < 1):
        raise ValueError("longest_timeout_seconds must be a whole number above 0")
    lists: dict[str, Any] = {name: tuple(raw[name]) for name in _LISTS if name in raw}
    return Policy(**lists, longest_timeout_seconds=longest)
