"""PostgreSQL and Redis killed, hung, emptied and full, while there is work."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.mischief import flush, limit_memory
from tests.faults.site import pause

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def work(on: Ground, chance: random.Random) -> Load:
    load = on.load(chance, 2)
    load.prepare(scale=0.5)
    load.repeat()
    return load


@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_a_service_is_killed_again_and_again(
    common: Ground, seed: int, chance: random.Random, service: str
) -> None:
    load = work(common, chance)
    with common.case(f"{service} killed at random", seed, cases=6, load=load):
        for _kill in range(6):
            pause(chance.uniform(0.5, 2))
            common.site.kill(service)
            pause(chance.uniform(0, 2))
            common.site.revive()


def test_nobody_is_turned_away_for_a_connection_that_died_with_postgresql(
    common: Ground, seed: int
) -> None:
    at_once = 12
    with (
        common.case("postgres killed beside an idle web process", seed, cases=1),
        ThreadPoolExecutor(at_once) as people,
    ):

        def ask(_number: int) -> int:
            return common.site.api.get("/api/devices", timeout=60).status_code

        assert set(people.map(ask, range(at_once * 2))) == {200}  # so many connections are kept
        common.site.kill("postgres")
        common.site.revive()
        assert set(people.map(ask, range(at_once * 2))) == {200}


@pytest.mark.parametrize(("service", "seconds"), [("postgres", 30), ("redis", 60)])
def test_a_service_hangs(
    common: Ground, seed: int, chance: random.Random, service: str, seconds: float
) -> None:
    load = work(common, chance)
    with common.case(f"{service} hung for {seconds} s", seed, cases=1, load=load):
        pause(2)
        with common.site.hung(service):
            pause(seconds)


def test_redis_is_emptied_again_and_again(common: Ground, seed: int, chance: random.Random) -> None:
    load = work(common, chance)
    with common.case("redis flushed", seed, cases=20, load=load):
        for _time in range(20):
            pause(chance.uniform(0.2, 1))
            flush(common.site)


def test_redis_is_full(common: Ground, seed: int, chance: random.Random) -> None:
    """It takes no write for a while: no task, no wake, no group."""
    load = work(common, chance)
    with common.case("redis full for 20 s", seed, cases=1, load=load):
        pause(2)
        limit_memory(common.site, "1")
        pause(20)
        limit_memory(common.site, "0")
