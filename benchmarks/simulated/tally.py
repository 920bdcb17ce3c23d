"""What a fleet's processes tell of their agents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunOnDevice:
    """What a device says of one run: `starts` counts the GOs it acted upon (never more than 1 where
    the server keeps its promise), `outcome` is None while it goes on or was never begun, `settled`
    is the state the server acknowledged."""

    device: str
    run: str
    starts: int
    outcome: str | None
    output_length: int
    output_sha256: str
    settled: str | None


@dataclass(slots=True)
class Tally:
    """`online` agents are welcomed at this moment; all else counts since the last look. `refused`
    counts failed handshakes by status (or why there was none), `closed` ended sessions by code;
    `heartbeats` are seconds from heartbeat to answer."""

    online: int = 0
    welcomes: int = 0
    grants: int = 0
    starts: int = 0
    results: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)
    heartbeats: list[float] = field(default_factory=list)


def together(tallies: Iterable[Tally]) -> Tally:
    whole = Tally()
    for one in tallies:
        whole.online += one.online
        whole.welcomes += one.welcomes
        whole.grants += one.grants
        whole.starts += one.starts
        whole.results += one.results
        whole.refused += one.refused
        whole.closed += one.closed
        whole.heartbeats += one.heartbeats
    return whole
