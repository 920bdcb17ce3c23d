"""What a simulated run writes: numbered lines, so that a hole, a repeat or a swap shows."""

from __future__ import annotations

_LINE = 46


def written(run: str, begin: int, end: int) -> bytes:
    """The bytes from `begin` to `end` of what this run writes to stdout, however long it goes on."""
    first = begin // _LINE
    lines = (f"{run} {number:08d}\n" for number in range(first, -(-end // _LINE)))
    return "".join(lines).encode()[begin - first * _LINE : end - first * _LINE]
