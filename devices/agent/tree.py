"""The processes of one run, from inside its shim: started, waited for, and ended to the last."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from .cgroups import Group
from .kinds import CannotStart, Stopped
from .platforms import (
    SYSTEM,
    account_environment,
    child_options,
    descendants,
    end_process,
    fold_exit_code,
    kill_process,
    reap,
)

_GIVE_UP_SECONDS = 30.0


class Tree:
    """The shim's main thread reaps; the thread of the kind starts programs and waits for them.
    `wake` is called when a wait may be over."""

    def __init__(self, wake: Callable[[], None], group: Group | None = None) -> None:
        self._wake = wake
        self._group = group
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._waited: dict[int, subprocess.Popen[bytes]] = {}
        self._is_stopping = False

    def run(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        directory: str | None,
        account: str | None,
        output: tuple[IO[bytes], IO[bytes]],
    ) -> int:
        """Start a program, wait for its end, answer its exit code. Raises CannotStart for a
        program that cannot be started and Stopped once the tree is being ended."""
        try:
            environment = account_environment(account)
            options = child_options(account)
        except KeyError:
            raise CannotStart(f"there is no account {account} to run as") from None
        home = environment.get("HOME", "/")
        cwd = directory or (home if os.path.isdir(home) else os.path.abspath(os.sep))
        with self._lock:
            if self._is_stopping:
                raise Stopped
            try:
                with self._group.entered() if self._group else contextlib.nullcontext():
                    process = subprocess.Popen(
                        list(argv),
                        stdin=subprocess.DEVNULL,
                        stdout=output[0],
                        stderr=output[1],
                        cwd=cwd,
                        env={**environment, **variables},
                        **options,
                    )
            except (OSError, subprocess.SubprocessError, ValueError) as problem:
                raise CannotStart(_reason(problem, argv[0], cwd, account)) from problem
            self._waited[process.pid] = process
        return fold_exit_code(self._wait(process))

    def reap(self) -> bool:
        """Collect what has ended, orphans too; whether any child of the shim is left."""
        with self._lock:
            ended = reap()
            for pid, code in ended or ():
                process = self._waited.pop(pid, None)
                if process is not None:
                    process.returncode = code
            if ended:
                self._ended.notify_all()
        return ended is not None

    def check(self) -> None:
        """Raises Stopped once the tree is being ended."""
        with self._lock:
            if self._is_stopping:
                raise Stopped

    def stop(self) -> None:
        """Nothing new starts; everything is asked to end."""
        with self._lock:
            self._is_stopping = True
            self._ended.notify_all()
        for pid in descendants(os.getpid()):
            end_process(pid)

    def kill(self) -> bool:
        """SIGKILL until the kernel says there is no child left, which proves that nobody is:
        every orphan becomes the shim's child. False when that took too long."""
        give_up_at = time.monotonic() + _GIVE_UP_SECONDS
        while time.monotonic() < give_up_at:
            if self._group is not None:
                self._group.kill()
            for pid in descendants(os.getpid()):
                kill_process(pid)
            if not self.reap():
                return True
            time.sleep(0.005)
        return False

    def leave(self) -> None:
        """The run has ended; what was put into the background on purpose stays where it is."""
        if self._group is not None:
            self._group.discard()

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        if SYSTEM == "windows":
            code = process.wait()
            self._wake()
            return code
        with self._ended:
            while process.returncode is None:
                self._ended.wait()
            if self._is_stopping:
                raise Stopped
        return int(process.returncode)


def _reason(problem: Exception, program: str, cwd: str, account: str | None) -> str:
    if isinstance(problem, FileNotFoundError | NotADirectoryError) and not os.path.isdir(cwd):
        return f"there is no directory {cwd}"
    if isinstance(problem, FileNotFoundError):
        return f"there is no program {program}"
    if isinstance(problem, PermissionError) and account is not None:
        return f"not permitted to run {program} in {cwd} as {account}"
    if isinstance(problem, OSError):
        return f"cannot run {program} in {cwd}: {problem.strerror}"
    return f"cannot run {program}: {problem}"
