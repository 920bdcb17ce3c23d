"""Process identity and process trees from /proc."""

from __future__ import annotations

import ctypes
import fcntl
import os
import time
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_PIPE_BYTES = 1024 * 1024


def boot_clock() -> float:
    """Seconds since the machine started, sleep included; no one can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_mark(pid: int) -> str | None:
    """When the process began, in ticks since boot: with the pid and the boot id, its identity.
    None when there is no such process, or nothing but its zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else fields[19]


def become_reaper() -> None:
    """Inherit every orphan among this process's descendants, daemons included."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def descendants(pid: int) -> list[int]:
    """Every living process below this one, by a walk of /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir(_PROC):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children.get(parent, ())]
        found += level
    return found


def widen_pipe(descriptor: int) -> None:
    """Room for a burst while the reader is busy; the default where the system grants no more."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        return


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may itself hold spaces and brackets:
    state, parent, …, and start ticks as the twentieth."""
    try:
        line = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return None
    return line[line.rindex(b")") + 2 :].decode("ascii").split()
