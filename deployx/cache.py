"""The cache in Redis, which a page or a sign-in does without while Redis is away.

What is kept there are rate limits and counters of failed sign-ins: brakes, not guarantees. To
refuse everybody because of them would turn a lost convenience into an outage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)
T = TypeVar("T")
AWAY_SECONDS = 5.0
OPTIONS = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "retry": Retry(NoBackoff(), 0)}
"""A Redis that hangs delays one request by 2 s, and is asked again 5 s later."""


class LenientClient(RedisCacheClient):
    """Answers as an empty cache would where Redis does not answer."""

    _away_until = float("-inf")

    def add(self, key: Any, value: Any, timeout: Any) -> Any:
        return self._try(lambda: super(LenientClient, self).add(key, value, timeout), True)

    def get(self, key: Any, default: Any) -> Any:
        return self._try(lambda: super(LenientClient, self).get(key, default), default)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        self._try(lambda: super(LenientClient, self).set(key, value, timeout), None)

    def touch(self, key: Any, timeout: Any) -> Any:
        return self._try(lambda: super(LenientClient, self).touch(key, timeout), False)

    def delete(self, key: Any) -> Any:
        return self._try(lambda: super(LenientClient, self).delete(key), False)

    def get_many(self, keys: Any) -> Any:
        nothing: dict[Any, Any] = {}
        return self._try(lambda: super(LenientClient, self).get_many(keys), nothing)

    def has_key(self, key: Any) -> Any:
        return self._try(lambda: super(LenientClient, self).has_key(key), False)

    def incr(self, key: Any, delta: Any) -> Any:
        return self._try(lambda: super(LenientClient, self).incr(key, delta), delta)

    def set_many(self, data: Any, timeout: Any) -> None:
        self._try(lambda: super(LenientClient, self).set_many(data, timeout), None)

    def delete_many(self, keys: Any) -> None:
        self._try(lambda: super(LenientClient, self).delete_many(keys), None)

    def _try(self, ask: Callable[[], T], otherwise: T) -> T:
        if time.monotonic() < LenientClient._away_until:
            return otherwise
        try:
            return ask()
        except (RedisError, OSError) as error:
            LenientClient._away_until = time.monotonic() + AWAY_SECONDS
            log.warning("cache_away", error=type(error).__name__)
            return otherwise


class LenientCache(RedisCache):
    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**OPTIONS, **params.get("OPTIONS", {})}})
        self._class = LenientClient
