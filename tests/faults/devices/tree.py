"""A program that will not go away, and neither will what it starts.

    python -I -S tree.py FILE

Every process of it adds a line to FILE: its pid and its start in ticks since boot. Started without
anything of the project: it is the workload, not a part of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

PROCESSES = 8
"""So many lines are in FILE once all of it is there; more only where some were killed."""
_PR_SET_NAME = 15
_DEAF = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)


def _note(file: str) -> None:
    with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123
        start = stat.read().rpartition(b")")[2].split()[19].decode()
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{os.getpid()} {start}\n".encode())
    os.close(descriptor)


def _stay() -> None:
    while True:
        time.sleep(60)


def _fork(course: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            course()
        finally:
            os._exit(1)
    return pid


def _plain(file: str) -> None:
    _note(file)
    _stay()


def _apart(file: str) -> None:
    """In a process group of its own."""
    os.setpgid(0, 0)
    _plain(file)


def _detach() -> None:
    """Twice forked, a session of its own, nothing open, elsewhere, under another name."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.closerange(0, 64)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"[kworker/0:9]", 0, 0, 0)


def _daemon(file: str) -> None:
    _detach()
    _plain(file)


def _stranger(file: str) -> None:
    """A daemon that has become another program, with nothing of our environment."""
    _detach()
    _note(file)
    os.execve("/bin/sleep", ["sleep", "86399"], {})


def _stopped(file: str) -> None:
    _note(file)
    os.kill(os.getpid(), signal.SIGSTOP)
    _stay()


def _hydra(file: str) -> None:
    """Two that bring each other back: whichever is left starts another."""
    _note(file)
    while True:
        parent = os.getpid()

        def other() -> None:
            _note(file)
            while os.getppid() == parent:  # noqa: B023 - it is only read in the child made here
                time.sleep(0.01)
            os.setsid()
            _hydra(file)

        os.waitpid(_fork(other), 0)


def main() -> None:
    (file,) = sys.argv[1:]
    for number in _DEAF:
        signal.signal(number, signal.SIG_IGN)
    for course in (_plain, _apart, _daemon, _stranger, _stopped, _hydra):
        _fork(lambda course=course: course(file))  # type: ignore[misc]
    _note(file)
    _stay()


if __name__ == "__main__":
    main()
