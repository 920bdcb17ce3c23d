"""The results as text for `benchmarks/RESULTS.md`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.first_line import FirstLine
from benchmarks.floor import Floor

# Above this, something is wrong with the floor, or the machine had other things to do.
FLOOR_LIMIT_MICROSECONDS = 150

_HEAD = """# Results

Written by `make bench` (`python -m benchmarks`), which repeats them; `--help` names its options.
Measured {date} on {machine}; load average before: {load}.
"""
_FLOOR = """
## The floor

A bare websockets server in one process, {clients:,} clients in another; each is taken through grant,
start, go, result and ack with the real frames, all at once. Nothing is signed, stored or run.

| µs a host, of {rounds} rounds | best | median | worst |
|---|---|---|---|
| from the first grant to the last ack | {wall} |
| the server's part of the processor | {cpu} |
"""
_FLOOR_IS_WRONG = """
More than {limit} µs a host: this machine was busy. Repeat it before comparing anything with it.
"""
_FIRST_LINE = """
## From due to the first line of output

{repeats} tasks, each due once at a moment of its own, on one device, on the whole system as `make up`
starts it (beat, broker, worker, hub, agent, shim, database). The floor is a bare `sh -c` of the same
command and one exchange of frames: {floor:.1f} ms in the same run.

| ms after the due time | median | p95 | best | worst |
|---|---|---|---|---|
| the command starts on the device | {started} |
| its first line is stored | {stored} |

The median is **{ratio:.0f}** times the floor.
"""


def render(floor: Floor | None, first_line: FirstLine | None, load: str) -> str:
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    parts = [_HEAD.format(date=date, machine=machine.sentence(), load=load)]
    if floor is not None:
        parts.append(_floor(floor))
    if first_line is not None:
        parts.append(_first_line(first_line))
    return "".join(parts)


def _floor(floor: Floor) -> str:
    text = _FLOOR.format(
        clients=floor.clients,
        rounds=len(floor.rounds),
        wall=_each(floor, floor.rounds),
        cpu=_each(floor, floor.cpu),
    )
    if floor.microseconds_per_host > FLOOR_LIMIT_MICROSECONDS:
        text += _FLOOR_IS_WRONG.format(limit=FLOOR_LIMIT_MICROSECONDS)
    return text


def _each(floor: Floor, seconds: Sequence[float]) -> str:
    numbers = (min(seconds), statistics.median(seconds), max(seconds))
    return " | ".join(f"{number / floor.clients * 1e6:.0f}" for number in numbers)


def _first_line(found: FirstLine) -> str:
    return _FIRST_LINE.format(
        repeats=len(found.stored),
        floor=found.floor * 1000,
        started=_row(found.started),
        stored=_row(found.stored),
        ratio=found.ratio,
    )


def _row(seconds: Sequence[float]) -> str:
    return milliseconds(statistics.median(seconds), p95(seconds), min(seconds), max(seconds))


def milliseconds(*seconds: float) -> str:
    """The cells of a table's row."""
    return " | ".join(f"{each * 1000:.0f}" for each in seconds)


def p95(seconds: Sequence[float]) -> float:
    """The smallest that at least 95 % do not exceed."""
    return sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]
