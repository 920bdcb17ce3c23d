"""A cgroup for each run, where systemd has left this agent its own (`Delegate=yes`): killed in one
step by the kernel, however fast it forks, and even where nobody is left who knows the processes.

Only cgroups v2, and only below a cgroup that is marked as delegated: others are systemd's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MARKS = ("user.delegate", "trusted.delegate")
_PREFIX = "run-"


@dataclass(frozen=True, slots=True)
class Group:
    path: Path

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """What this process starts meanwhile, and all that comes of it, belongs to the group; this
        process leaves it again. A system that refuses is no reason not to start."""
        try:
            _move_to(self.path)
            yield
        finally:
            _move_to(self.path.parent)

    def kill(self) -> None:
        """Every process in it, at once. Never to be called from inside."""
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def discard(self) -> None:
        """Remove it, unless something that was left in the background on purpose is in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def make(run: str) -> Group | None:
    """The run's own; None where there can be none."""
    above = delegated()
    if above is None:
        return None
    group = Group(above / f"{_PREFIX}{run}")
    try:
        group.path.mkdir(exist_ok=True)
    except OSError:
        return None
    return group if (group.path / "cgroup.kill").exists() else None


def of(run: str) -> Group | None:
    """The one that a shim of this run made, if it is still there."""
    above = delegated()
    path = None if above is None else above / f"{_PREFIX}{run}"
    return Group(path) if path is not None and path.is_dir() else None


def sweep() -> None:
    """Remove those in which nothing lives any more."""
    above = delegated()
    for path in () if above is None else above.glob(f"{_PREFIX}*"):
        Group(path).discard()


def delegated(process: Path = Path("/proc/self")) -> Path | None:
    """The folder of this process's cgroup, if that is the agent's to divide."""
    try:
        lines = (process / "cgroup").read_text().splitlines()
        name = next(line[3:] for line in lines if line.startswith("0::"))
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        # Optional fields come before the dash, the type right after it.
        root = next(Path(m[4]) for m in mounts if m[m.index("-") + 1] == "cgroup2")
    except (OSError, StopIteration, ValueError):
        return None
    folder = root / name.lstrip("/")
    return folder if name != "/" and _is_delegated(folder) else None


def _is_delegated(folder: Path) -> bool:
    for mark in _MARKS:
        with contextlib.suppress(OSError, AttributeError):
            if os.getxattr(folder, mark) == b"1":
                return os.access(folder, os.W_OK)
    return False


def _move_to(group: Path) -> None:
    with contextlib.suppress(OSError):
        (group / "cgroup.procs").write_text(str(os.getpid()))
