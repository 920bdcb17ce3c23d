"""What Linux and macOS share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_SWALLOW = "import os\nwhile os.read(0, 65536): pass"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def default_state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/deployx-agent")
    return Path.home() / ".local/state/deployx-agent"


def lock_file(descriptor: int) -> bool:
    """Take the lock for as long as the descriptor is open; False when another holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def account_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def account_environment(account: str | None) -> dict[str, str]:
    """The environment a command finds before its own variables; KeyError for no such account."""
    entry = pwd.getpwnam(account) if account else _own_entry()
    environment = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/"}
    if entry is not None:
        environment["HOME"] = entry.pw_dir or "/"
        environment["USER"] = environment["LOGNAME"] = entry.pw_name
        environment["SHELL"] = entry.pw_shell or "/bin/sh"
    return environment


def _own_entry() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        return None


def child_options(account: str | None) -> dict[str, Any]:
    """Popen's arguments for a command; KeyError for no such account."""
    options: dict[str, Any] = {"start_new_session": True, "umask": 0o022}
    if account is not None:
        entry = pwd.getpwnam(account)
        if entry.pw_uid != os.geteuid():
            groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
            options |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    return options


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """A process started in here gets no signal before it calls `release_signals`: one that comes
    before its handlers are in place would be its end."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def detached_options() -> dict[str, Any]:
    """Popen's arguments for a process that outlives this one."""
    return {"start_new_session": True, "umask": 0o077}


def swallow(source: int, folder: Path) -> None:
    """Read a pipe to its end, whenever that is, in a process of its own; `folder` tells people
    whose it is."""
    argv = [sys.executable, "-I", "-S", "-c", _SWALLOW, str(folder)]
    subprocess.Popen(
        argv,
        stdin=source,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def wait_for_data(source: int) -> None:
    """Until a read of the pipe would not wait: there is something, or nobody is left to write."""
    select.select([source], [], [])


def unread(source: int) -> int:
    """How many bytes were written to the pipe and not read."""
    return int.from_bytes(fcntl.ioctl(source, termios.FIONREAD, bytes(4)), sys.byteorder)


def reap() -> list[tuple[int, int]] | None:
    """(pid, exit status) of every child that has ended; None when there is no child at all."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended or None
        if pid == 0:
            return ended
        ended.append((pid, os.waitstatus_to_exitcode(status)))


def end_process(pid: int) -> None:
    """Ask a process to end, one that is stopped (Ctrl-Z, SIGSTOP) as well."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)


def kill_process(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def nudge(pid: int) -> None:
    """Make a shim look at its control file now."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)


def fold_exit_code(code: int) -> int:
    """Popen's code as people know it: 128 + n for signal n."""
    return 128 - code if code < 0 else code
