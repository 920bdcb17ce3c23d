"""Process identity and process trees on macOS. Not yet run on one."""

from __future__ import annotations

import os
import time

import psutil


def boot_clock() -> float:
    """Seconds since the machine started; on macOS this clock goes on during sleep."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def boot_id() -> str:
    return str(int(psutil.boot_time()))


def start_mark(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return str(process.create_time())
    except psutil.NoSuchProcess:
        return None


def become_reaper() -> None:
    """macOS has no sub-reaper: a child that daemonises leaves the tree."""


def descendants(pid: int) -> list[int]:
    """Children by parent, and whatever still is in a session that one of them opened."""
    try:
        below = [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    sessions = {child for child in below if _session(child) == child}
    others = (other for other in psutil.pids() if other not in below)
    return below + [other for other in others if _session(other) in sessions]


def widen_pipe(descriptor: int) -> None:
    """Pipes grow by themselves there."""


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
