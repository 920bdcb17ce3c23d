"""Ends workers and beats of this machine that live without working, where no supervisor of ours
watches over them: in a container, under systemd. Whoever started one starts it again."""

from __future__ import annotations

import os
import signal
import socket
import time

import psutil

from scheduling import heartbeats

# Long enough for a worker whose children are all busy to come round to its own heartbeat.
UNHEARD_FOR_SECONDS = 180.0


def end_unheard(kind: str) -> list[int]:
    """Kills the processes of a kind (worker, beat) that were not heard of for minutes; their ids.
    A killed one loses nothing: reconcile finishes what it left."""
    found = heartbeats.unheard(kind, UNHEARD_FOR_SECONDS, socket.gethostname())
    return [pid for pid in found if _is_still_it(pid, kind) and _kill(pid)]


def _is_still_it(pid: int, kind: str) -> bool:
    """Not another process, nor one that was started since and got the same id."""
    try:
        process = psutil.Process(pid)
        age = time.time() - process.create_time()
        return age > UNHEARD_FOR_SECONDS and kind in process.cmdline()
    except psutil.Error:
        return False


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
