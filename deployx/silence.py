"""Whether a worker lives without working: it no longer does the task it sends itself."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg
from redis import Redis
from redis.exceptions import RedisError

STALE_AFTER_SECONDS = 30.0
SILENT_FOR_SECONDS = 30.0

_HEARD_OF = """
SELECT EXISTS (SELECT 1 FROM scheduling_serviceheartbeat
                WHERE kind = 'worker' AND seen_at > statement_timestamp() - make_interval(secs => %s))
"""


@dataclass(slots=True)
class WorkerSilence:
    """Called again and again. While the broker or the database is away it says nothing: no worker
    could work then, and one that is started again would lose its reconcile for nothing."""

    database_url: str
    redis_url: str
    _since: float | None = None

    def __call__(self) -> bool:
        if not self._is_unheard():
            self._since = None
            return False
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since >= SILENT_FOR_SECONDS

    def _is_unheard(self) -> bool:
        try:
            with Redis.from_url(self.redis_url, socket_timeout=1) as client:
                client.ping()
            with psycopg.connect(self.database_url, connect_timeout=2) as connection:
                row = connection.execute(_HEARD_OF, [STALE_AFTER_SECONDS]).fetchone()
        except (RedisError, psycopg.Error, OSError):
            return False
        return row is not None and not row[0]
