"""What is left of a run whose shim was killed: nobody would end it at its time limit any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

RUN_VARIABLE = "DEPLOYX_RUN_ID"
_ROUNDS = 100
_ROUND_SECONDS = 0.1


def kill_leftovers(run: str) -> list[int]:
    """Kills every process that has the run in its environment, and all below those; answers which.
    One that has emptied its environment and left its parents cannot be known for the run's."""
    killed: dict[int, None] = {}
    for _round in range(_ROUNDS):
        found = list(_of(run))
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed[process.pid] = None
        psutil.wait_procs(found, _ROUND_SECONDS)
    return list(killed)


def _of(run: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_VARIABLE) == run:
                if process.status() != psutil.STATUS_ZOMBIE:
                    yield process
                yield from process.children(recursive=True)
