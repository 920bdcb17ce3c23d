"""Whether what the system stands on is there: database, Redis, a worker and a beat."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduling import heartbeats, notices
from scheduling.models import ScheduledTask
from scheduling.notices import Notice

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.functional import Promise

PROCESSES = ("worker", "beat")
REDIS_TIMEOUT_SECONDS = 2.0
REMEMBERED_SECONDS = 5.0
# Due for so long and not opened: nobody is at it.
OVERDUE_AFTER = timedelta(seconds=heartbeats.ALIVE_WITHIN_SECONDS)
ADVICE: dict[str, str | Promise] = {
    "database": _(
        "The database does not answer. See that PostgreSQL runs and that DATABASE_URL is right."
    ),
    "redis": _(
        "Redis does not answer, so runs start and pages change later than they could."
        " See that it runs and that REDIS_URL is right."
    ),
    "worker": _(
        "No worker is at work, so beat does its work, and runs start later than they could."
        " Start one: celery -A deployx worker."
    ),
    "beat": _("No beat is at work, so due tasks open late. Start one: celery -A deployx beat."),
}
# Where the other one, which looks after everything as well, is not there either.
NEITHER: dict[str, str | Promise] = {
    "worker": _(
        "No worker is at work, nor a beat in its place, so nothing is started."
        " Start one: celery -A deployx worker."
    ),
    "beat": _(
        "No beat is at work, nor a worker in its place, so what is due does not open."
        " Start one: celery -A deployx beat."
    ),
}
UNKNOWN = _("Only the database knows whether one is at work.")


class Check(NamedTuple):
    """`what_to_do` is a sentence for an administrator; empty where all is well."""

    name: str
    ok: bool
    what_to_do: str | Promise


class Overdue(NamedTuple):
    """Tasks whose time has come and that nobody opens, and when the first of them was due."""

    tasks: int
    since: datetime

    def sentence(self) -> str:
        text = ngettext(
            "%(number)s task is overdue since %(moment)s.",
            "%(number)s tasks are overdue since %(moment)s.",
            self.tasks,
        )
        return text % {"number": self.tasks, "moment": f"{self.since:%Y-%m-%d %H:%M} UTC"}


def overdue() -> Overdue | None:
    """What is missed while no beat or no worker is at work; None where nothing is, or the database
    does not say."""
    late = ScheduledTask.objects.filter(next_run_time__lt=Now() - OVERDUE_AFTER)
    try:
        found = late.aggregate(tasks=Count("pk"), since=Min("next_run_time"))
    except (DatabaseError, InterfaceError):
        return None
    return Overdue(**found) if found["tasks"] else None


def checks() -> list[Check]:
    """database, redis, worker and beat, asked now; takes seconds at most, whatever hangs."""
    alive = {kind: _alive(kind) for kind in PROCESSES}
    missed = None if all(alive.values()) else overdue()
    return [
        _check("database", None not in alive.values()),
        _check("redis", redis_answers()),
        *(_process(kind, alive, missed) for kind in PROCESSES),
    ]


def recent_checks() -> list[Check]:
    """The same, not asked again by this process within 5 s: a hung Redis slows no second page."""
    moment, known = _remembered[0]
    if time.monotonic() - moment > REMEMBERED_SECONDS:
        known = checks()
        _remembered[0] = (time.monotonic(), known)
    return known


def recent_notices() -> list[Notice]:
    """What else administrators are to know of, not asked again by this process within 5 s."""
    moment, known = _noticed[0]
    if time.monotonic() - moment > REMEMBERED_SECONDS:
        known = notices.current()
        _noticed[0] = (time.monotonic(), known)
    return known


def banner() -> dict[str, Any]:
    """What is not well, and what else is to be known of, for administrators' eyes."""
    return {
        "ill": [check for check in recent_checks() if not check.ok],
        "notices": recent_notices(),
    }


def forget_checks() -> None:
    """Has the next `recent_checks` and `recent_notices` ask anew."""
    _remembered[0] = _NEVER
    _noticed[0] = _NEVER_NOTICED


_NEVER: tuple[float, list[Check]] = (float("-inf"), [])
_remembered = [_NEVER]
_NEVER_NOTICED: tuple[float, list[Notice]] = (float("-inf"), [])
_noticed = [_NEVER_NOTICED]


def _check(name: str, ok: bool) -> Check:
    return Check(name, ok, "" if ok else ADVICE[name])


def _process(kind: str, alive: dict[str, int | None], missed: Overdue | None) -> Check:
    if alive[kind]:
        return Check(kind, True, "")
    if alive[kind] is None:
        return Check(kind, False, UNKNOWN)
    advice = (ADVICE if any(alive.values()) else NEITHER)[kind]
    return Check(kind, False, f"{advice} {missed.sentence()}" if missed else advice)


def _alive(kind: str) -> int | None:
    """How many such processes live; None where the database does not say."""
    try:
        return heartbeats.alive(kind)
    except (DatabaseError, InterfaceError):
        return None


def redis_answers() -> bool:
    """Within 2 s."""
    try:
        return bool(_redis().ping())
    except (RedisError, OSError):
        return False


@cache
def _redis() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        max_connections=16,
    )
