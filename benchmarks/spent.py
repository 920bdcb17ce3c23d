"""The processor's time that the programs of a running system have taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import psutil

from tests.running import RunningSystem

_BY_WORD = {
    "uvicorn": "web",
    "worker": "worker",
    "beat": "beat",
    "postgres": "PostgreSQL",
    "valkey": "Redis",
}


def spent(system: RunningSystem, agents: Iterable[int]) -> dict[str, float]:
    """Seconds so far, by program; `agents` are the process ids of the simulated ones."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for process in psutil.Process(system.process.pid).children(recursive=True):
        try:
            times, line = process.cpu_times(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        name = next((name for word, name in _BY_WORD.items() if word in line), "other")
        seconds[name] += times.user + times.system
    for pid in agents:
        times = psutil.Process(pid).cpu_times()
        seconds["agents"] += times.user + times.system
    return seconds


def between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
