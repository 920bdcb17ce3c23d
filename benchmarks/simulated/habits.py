from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Habits:
    """How the agents of a fleet behave.

    A run takes `runs_for_seconds` from GO and writes `output_bytes` evenly over that time. Intervals
    of 0 are what the server wants (`welcome.limits`). `verifies` checks what every grant is signed
    with, as a device would on a processor of its own; `reconnects` comes back by itself.
    """

    output_bytes: int = 0
    chunk_bytes: int = 32 * 1024
    runs_for_seconds: float = 0.0
    exit_code: int = 0
    verifies: bool = True
    reconnects: bool = True
    reconnect_min_seconds: float = 1.0
    reconnect_max_seconds: float = 60.0
    heartbeat_seconds: float = 0.0
    poll_seconds: float = 0.0
    repeat_seconds: float = 5.0
