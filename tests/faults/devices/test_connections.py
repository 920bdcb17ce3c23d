"""Connections that are reset at any byte, fall silent with both ends open, or drip: an agent finds
its way out of each, and every run ends right, with all of its output."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.faults.devices.conftest import Case
from tests.faults.proxy import Between, Way
from tests.running import until

RESETS = 12
# A byte a second is quick enough to keep a connection busy, and too slow for any frame.
DRIP_SECONDS = 1.0


def some_resets(way: Way, chance: random.Random) -> Callable[[], int | None]:
    """The first connections end in the handshake or soon after it, at a byte of chance. One that
    ends otherwise before that leaves its end to the next."""
    sizes = [chance.randrange(chance.choice((3_000, 60_000))) for _ in range(RESETS)]
    return lambda: dict(enumerate(sizes)).get(way.faults["reset"])


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_connection_may_be_reset_at_any_byte(
    case: Case, between: Between, chance: random.Random
) -> None:
    case.fleet.join(3)
    ways = between.put_before(*case.fleet.devices)
    for way in ways:
        way.cut_after = some_resets(way, random.Random(chance.random()))
    for device in case.fleet.devices:
        device.start()
    case.executions(2, seed=case.seed, stdout_bytes=200_000, stderr_bytes=50_000, seconds=15)
    until(lambda: all(way.faults["reset"] >= RESETS for way in ways) or None, 300, what="resets")
    case.settled("a connection reset at a random byte", cases=RESETS * len(ways))


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_connection_may_fall_silent_or_drip(case: Case, between: Between) -> None:
    """The server's half may still be open when the agent, tired of it, comes by another way."""
    case.fleet.join(3)
    ways = between.put_before(*case.fleet.devices)
    silent, dripping, slow_to_open = ways
    slow_to_open.drips = DRIP_SECONDS
    for device in case.fleet.devices:
        device.start()
    until(
        lambda: case.fleet.online() >= set(case.fleet.ids[:2]) or None,
        180,
        what="the other two online",
    )
    over = case.fleet.folder / "over"
    (execution,) = case.executions(
        1, seed=case.seed, stdout_bytes=90_000, seconds=6, held_by=over, timeout_seconds=600
    )
    until(lambda: running(case, execution) >= 2 or None, what="the command runs")
    tries = [silent.faults["connections"], dripping.faults["connections"], 1]
    silent.is_cut, dripping.drips = True, DRIP_SECONDS
    until(
        lambda: all(map(has_given_up, ways, tries)) or None, 180, what="each agent tries once more"
    )
    assert {case.statuses(execution)[one] for one in case.fleet.ids[:2]} == {"running"}
    silent.is_cut, dripping.drips, slow_to_open.drips = False, 0.0, 0.0
    over.touch()
    case.until_all(execution, "succeeded", seconds=180)
    case.settled("a connection silent, or a byte a second", cases=len(ways))


def running(case: Case, execution: str) -> int:
    return list(case.statuses(execution).values()).count("running")


def has_given_up(way: Way, tries: int) -> bool:
    return way.faults["connections"] > tries
