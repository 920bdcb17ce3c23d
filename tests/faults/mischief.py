"""What can be done to one program of a running system, beyond killing it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import psutil
from redis import Redis

from tests.faults.fleet import Fleet
from tests.faults.site import Site, pause
from tests.running import until


def kill_a_pool_child(site: Site, chance: random.Random) -> None:
    """What a worker's memory limit does; the worker makes another."""
    worker = psutil.Process(site.pid("worker"))
    _kill_one_of(worker.children, chance, "a child of the worker's pool")
    site.kills += 1


def kill_an_agent(fleet: Fleet, chance: random.Random) -> None:
    device = chance.choice(fleet.devices)
    device.kill()
    pause(chance.uniform(0, 1))
    device.start()


def kill_a_shim(fleet: Fleet, chance: random.Random) -> None:
    """Of a device that runs something; what it ran may live on for a while."""
    _kill_one_of(lambda: chance.choice(fleet.devices).shims(), chance, "a shim")
    fleet.devices[0].kills += 1


def _kill_one_of(
    find: Callable[[], list[psutil.Process]], chance: random.Random, what: str
) -> None:
    """Once there is one; those found may end by themselves before they are killed."""

    def is_done() -> bool:
        with suppress(psutil.Error):
            if found := find():
                chance.choice(found).kill()
                return True
        return False

    until(is_done, what=f"{what} killed")


def flush(site: Site, *, patience_seconds: float = 60.0) -> None:
    with Redis.from_url(site.services.redis_url, socket_timeout=patience_seconds) as client:
        client.flushall()
    site.kills += 1


def limit_memory(site: Site, number: str, *, patience_seconds: float = 60.0) -> None:
    """0 is no limit; past it nothing is thrown out, writes are refused."""
    with Redis.from_url(site.services.redis_url, socket_timeout=patience_seconds) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", number)
    site.kills += number != "0"
