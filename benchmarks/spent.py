"""The processor's time and the memory that the programs of a running system have taken."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Peak:
    bytes: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def peak(process: psutil.Process) -> Iterator[Peak]:
    """The most memory the process has while this is open."""
    found = Peak()

    def look() -> None:
        while not found.is_over.wait(0.1):
            found.bytes = max(found.bytes, process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.is_over.set()
        thread.join()
