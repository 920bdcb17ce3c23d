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
        "No worker is at work, so nothing is started. Start one: celery -A deployx worker."
    ),
    "beat": _("No beat is at work, so due tasks open late. Start one: celery -A deployx beat."),
}


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
    worker, beat = _alive("worker"), _alive("beat")
    missed = None if worker and beat else overdue()
    return [
        _check("database", worker is not None),
        _check("redis", redis_answers()),
        _check("worker", bool(worker), missed),
        _check("beat", bool(beat), missed),
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


def _check(name: str, ok: bool, missed: Overdue | None = None) -> Check:
    if ok:
        return Check(name, ok, "")
    return Check(name, ok, f"{ADVICE[name]} {missed.sentence()}" if missed else ADVICE[name])


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
