"""Processes, accounts and locks on Windows. Not yet run on one."""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import msvcrt
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

assert sys.platform == "win32"

_KEPT = ("SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "TEMP", "TMP", "ProgramFiles")
_LOOK_SECONDS = 0.02
_PROFILE = ("USERPROFILE", "APPDATA", "LOCALAPPDATA", "USERNAME")


def default_state_dir() -> Path:
    return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "deployx-agent"


def lock_file(descriptor: int) -> bool:
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def account_name() -> str:
    return getpass.getuser()


def account_environment(account: str | None) -> dict[str, str]:
    """KeyError for any account but the agent's own: Windows starts no process as another
    without that account's password."""
    if account is not None and account.lower() != account_name().lower():
        raise KeyError(account)
    kept = {name: os.environ[name] for name in (*_KEPT, *_PROFILE) if name in os.environ}
    root = os.environ.get("SYSTEMROOT", r"C:\Windows")
    shells = rf"{root}\System32;{root};{root}\System32\WindowsPowerShell\v1.0"
    return {**kept, "PATH": shells, "HOME": os.environ.get("USERPROFILE", "C:\\")}


def child_options(account: str | None) -> dict[str, Any]:
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


def detached_options() -> dict[str, Any]:
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_BREAKAWAY_FROM_JOB
    return {"creationflags": flags | subprocess.CREATE_NO_WINDOW}


def boot_clock() -> float:
    ticks = ctypes.windll.kernel32.GetTickCount64
    ticks.restype = ctypes.c_ulonglong
    return float(ticks()) / 1000


def boot_id() -> str:
    return str(int(psutil.boot_time()) // 60)


def start_mark(pid: int) -> str | None:
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def become_reaper() -> None:
    """Windows has no orphans to inherit: a child keeps its parent's pid for ever."""


def descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def reap() -> list[tuple[int, int]] | None:
    return None if not descendants(os.getpid()) else []


def end_process(pid: int) -> None:
    kill_process(pid)


def kill_process(pid: int) -> None:
    try:
        psutil.Process(pid).kill()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def nudge(pid: int) -> None:
    """The shim looks at its control file once a second by itself."""


def swallow(source: int, folder: Path) -> None:
    """Nobody is left to read it; writing to such a pipe is an error there, not an end."""


def wait_for_data(source: int) -> None:
    """It looks again and again: there is nothing to wait with for such a pipe."""
    while (waiting := _peek(source)) is not None and not waiting:
        time.sleep(_LOOK_SECONDS)


def unread(source: int) -> int:
    return _peek(source) or 0


def _peek(source: int) -> int | None:
    """None once nobody is left to write."""
    waiting = ctypes.c_ulong(0)
    handle = msvcrt.get_osfhandle(source)
    peek = ctypes.windll.kernel32.PeekNamedPipe
    return int(waiting.value) if peek(handle, None, 0, None, ctypes.byref(waiting), None) else None


def signals_held() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def release_signals() -> None:
    """There are none."""


def widen_pipe(descriptor: int) -> None:
    """Pipes have their size from their making."""


def fold_exit_code(code: int) -> int:
    """NTSTATUS codes as the signed 32 bits the protocol carries."""
    return code - 2**32 if code >= 2**31 else code
