"""One program: how it is started, when it is ready, and how it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployx.embedded.account import Account

POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


class NeverReady(RuntimeError):
    """It ended, or took too long, before it was ready for work."""


@dataclass(frozen=True, slots=True)
class Program:
    """`environment` is added to ours. `is_ready` is asked until it says yes; `is_silent`, where it
    is given, says that the program lives but does no work any more, and is to be started again; it is
    not asked before `silence_after_seconds`. What it says goes to the file `log`, else to whoever
    started it."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    working_directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    patience_seconds: float = 20.0
    is_ready: Callable[[], bool] = lambda: True
    is_silent: Callable[[], bool] | None = None
    silence_after_seconds: float = 60.0
    log: Path | None = None

    def start(self, output: IO[bytes] | int | None = None) -> Process:
        """Starts it in a session of its own: Ctrl-C reaches us alone, and we end it in our order."""
        account: Any = self.account.as_arguments() if self.account else {}
        popen = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            env={**os.environ, **self.environment},
            cwd=self.working_directory,
            start_new_session=True,
            # Runs in the child between fork and exec, where ours has one thread only.
            preexec_fn=_end_with_parent(self.stop_signal),  # noqa: PLW1509
            **account,
        )
        return Process(self, popen)


@dataclass(slots=True)
class Process:
    """A program that was started. `started_at` is of the monotonic clock."""

    program: Program
    popen: subprocess.Popen[bytes]
    started_at: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Raises NeverReady."""
        deadline = time.monotonic() + seconds
        while not self.program.is_ready():
            if self.has_ended:
                raise NeverReady(f"{self.program.name} ended with {self.popen.returncode}.")
            if time.monotonic() > deadline:
                raise NeverReady(f"{self.program.name} was not ready within {seconds:.0f} s.")
            time.sleep(POLL_SECONDS)

    def ask_to_stop(self) -> None:
        if not self.has_ended:
            self.popen.send_signal(self.program.stop_signal)

    def stop(self) -> None:
        """Asks it to end, and kills it when it does not for too long."""
        self.ask_to_stop()
        try:
            self.popen.wait(self.program.patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it at once, with what it started in its own session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def _end_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """Linux ends a child with its parent when it is asked to; elsewhere a kill -9 leaves orphans."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)

    return ask
