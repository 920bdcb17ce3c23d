"""Slows down whoever keeps being refused, by address. A brake, not a guarantee: it counts in the
cache, and where that is away nobody is slowed."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Brake:
    """At most `at_most` counts in each window of `seconds`."""

    name: str
    at_most: int
    seconds: int

    def wait_seconds(self, address: str) -> int:
        """Whole seconds until this address may try again, 0 for now."""
        now = time.time()
        try:
            counted = cache.get(self._key(address, now), 0)
        except (RedisError, OSError) as error:
            log.warning("brake_away", brake=self.name, error=type(error).__name__)
            return 0
        return 0 if counted < self.at_most else self.seconds - int(now % self.seconds)

    def count(self, address: str) -> None:
        key = self._key(address, time.time())
        try:
            cache.add(key, 0, timeout=self.seconds * 2)
            cache.incr(key)
        except (RedisError, OSError) as error:
            log.warning("brake_away", brake=self.name, error=type(error).__name__)

    def _key(self, address: str, now: float) -> str:
        return f"{self.name}:{_origin(address)}:{int(now // self.seconds)}"


def _origin(address: str) -> str:
    """One machine of today has 2**64 addresses of IPv6 to itself: its network counts."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        if mapped is None:
            return str(ipaddress.ip_network((int(found), 64), strict=False).network_address)
        return str(mapped)
    return str(found)
