"""What one run costs a machine that does nothing else: a `sh -c`, and one exchange of frames."""

from __future__ import annotations

import statistics
import subprocess
import time

from benchmarks import floor


def measure(rounds: int = 50) -> float:
    """The median seconds of the two together, one device, one run at a time."""
    spawned = statistics.median(_spawn() for _ in range(rounds))
    return spawned + statistics.median(floor.measure(1, rounds).rounds)


def _spawn() -> float:
    """Seconds until a shell's first line is read."""
    started_at = time.perf_counter()
    with subprocess.Popen(["/bin/sh", "-c", "date +%s.%N"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - started_at
