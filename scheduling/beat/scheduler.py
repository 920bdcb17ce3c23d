"""The beat scheduler: due tasks by index from the database, any number of beats side by side."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from celery.schedules import schedstate
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from scheduling import health, heartbeats
from scheduling.beat.mirror import OPEN_DUE
from scheduling.connection import own_connection

log = structlog.get_logger(__name__)
BATCH = 100
LONGEST_SLEEP_SECONDS = 1.0
# Tasks due within a moment of each other travel together: each message costs a worker the same.
SHORTEST_SLEEP_SECONDS = 0.05
HEARTBEAT_SECONDS = 5.0
FLAG_LOOK_SECONDS = 5.0
# Any number, the same for every beat of an installation: who holds it runs other apps' tasks.
LEADERSHIP = 0x6465706C6F7978

# Not a subquery: a plan may ask that again for each row of the other side, and each time it would
# lock as many more as the limit allows.
_RESERVE = """
WITH due AS MATERIALIZED (
    SELECT id FROM scheduled_tasks
     WHERE next_run_time <= statement_timestamp()
       AND (announced_for IS DISTINCT FROM next_scheduled_for
            OR announced_at < statement_timestamp() - interval '30 seconds')
     ORDER BY next_run_time LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE scheduled_tasks AS task
   SET announced_for = task.next_scheduled_for, announced_at = statement_timestamp()
  FROM due
 WHERE task.id = due.id
RETURNING task.id, task.next_scheduled_for
"""
_SECONDS_LEFT = """
SELECT extract(epoch FROM min(next_run_time) - statement_timestamp())
  FROM scheduled_tasks
 WHERE next_run_time IS NOT NULL AND announced_for IS DISTINCT FROM next_scheduled_for
"""

Pair = tuple[str, str]


class FleetScheduler(DatabaseScheduler):
    """Announces due tasks of ours itself, and leaves every other app's to its parent.

    A reserved occurrence stays the next one until a worker opens it, so a message or a beat that is
    lost is announced again after 30 s; opening is guarded by the row, so that doubles do nothing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._own: BaseDatabaseWrapper | None = None
        self._is_leader = False
        self._unsent: list[Pair] = []
        self._heartbeat_at = 0.0
        self._flag_at = 0.0
        self.name = f"beat@{socket.gethostname()}:{os.getpid()}"
        super().__init__(*args, **kwargs)
        if not kwargs.get("lazy"):  # made once more only to show its settings
            log.info("Task scheduler started", beat=self.name)

    def setup_schedule(self) -> None:
        """What the settings schedule and nothing has run yet counts from the first start: the parent
        writes its row anew at each, and counts from there. Whoever starts by day alone would never
        come to what is due at night."""
        super().setup_schedule()
        named = PeriodicTask.objects.filter(name__in=list(self.app.conf.beat_schedule))
        named.filter(last_run_at=None).update(last_run_at=Now())

    def enabled_models_qs(self) -> Any:
        """Every other app's periodic tasks; ours never enter the parent's heap."""
        return PeriodicTask.objects.enabled().exclude(task=OPEN_DUE)

    def schedule_changed(self) -> bool:
        """Looks at the change flag every few seconds at most."""
        if time.monotonic() < self._flag_at:
            return False
        self._flag_at = time.monotonic() + FLAG_LOOK_SECONDS
        return bool(super().schedule_changed())

    def is_due(self, entry: Any) -> Any:
        """Of another app's entry. While the broker is away none is: the parent would count it as
        sent, and wait for the broker with everything of ours."""
        state = super().is_due(entry)
        if state.is_due and not health.redis_answers():
            return schedstate(is_due=False, next=LONGEST_SLEEP_SECONDS)
        return state

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Announces what is due; answers the seconds until it wants to be called again."""
        try:
            self._beat_heart()
            sleep = self._announce_due()
            if self._lead():
                sleep = min(sleep, super().tick(*args, **kwargs) or LONGEST_SLEEP_SECONDS)
        except (DatabaseError, InterfaceError) as error:
            log.warning("beat_without_database", error=type(error).__name__)
            self._drop_connection()
            sleep = LONGEST_SLEEP_SECONDS
        return max(0.0, min(sleep, LONGEST_SLEEP_SECONDS))

    def close(self) -> None:
        super().close()
        self._drop_connection()

    def _announce_due(self) -> float:
        """Reserves and sends batch after batch until nothing is due; seconds to the next."""
        if not self._send(self._unsent):
            return LONGEST_SLEEP_SECONDS
        while batch := self._reserve():
            self._unsent = batch
            if not self._send(batch):
                return LONGEST_SLEEP_SECONDS
            if len(batch) < BATCH:
                break
        ((seconds,),) = self._fetch(_SECONDS_LEFT)
        if seconds is None:
            return LONGEST_SLEEP_SECONDS
        return max(SHORTEST_SLEEP_SECONDS, float(seconds))

    def _reserve(self) -> list[Pair]:
        rows: list[tuple[UUID, datetime]] = self._fetch(_RESERVE, [BATCH])
        return [(str(task_id), scheduled_for.isoformat()) for task_id, scheduled_for in rows]

    def _send(self, batch: list[Pair]) -> bool:
        """Sends what was reserved; what could not be sent is kept for the next tick."""
        if batch:
            try:
                self.app.send_task(
                    OPEN_DUE, args=[batch], kwargs={"opened_by": "beat"}, retry=False
                )
            except (OperationalError, RedisError, OSError) as error:
                log.warning("announcement_kept", tasks=len(batch), error=type(error).__name__)
                return False
        self._unsent = []
        return True

    def _lead(self) -> bool:
        """Whether this beat runs other apps' tasks: exactly one of all beats does."""
        if self._is_leader:
            return True
        ((self._is_leader,),) = self._fetch("SELECT pg_try_advisory_lock(%s)", [LEADERSHIP])
        if self._is_leader:
            self._flag_at = 0.0
            self.schedule_changed()  # whatever changes from now on is one more
            self._initial_read, self._heap = True, None
            log.info("beat_leads", beat=self.name)
        return self._is_leader

    def _beat_heart(self) -> None:
        if time.monotonic() >= self._heartbeat_at:
            heartbeats.record("beat", self.name)
            self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS

    def _fetch(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        if self._own is None:
            self._own = own_connection()
        with self._own.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def _drop_connection(self) -> None:
        """Gives up the connection, and with it the leadership its session lock stands for."""
        self._is_leader = False
        own, self._own = self._own, None
        for connection in (own, connections["default"]):
            if connection is not None:
                connection.close()
