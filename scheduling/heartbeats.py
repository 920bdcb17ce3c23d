"""Signs of life: one row a process, renewed while it works, all by the database's clock."""

from __future__ import annotations

from django.db import connection

from scheduling.models import ServiceHeartbeat

ALIVE_WITHIN_SECONDS = 30

_RECORD = """
INSERT INTO scheduling_serviceheartbeat (kind, name, started_at, seen_at)
VALUES (%s, %s, statement_timestamp(), statement_timestamp())
ON CONFLICT (kind, name) DO UPDATE SET seen_at = excluded.seen_at
"""
_BEGIN = f"{_RECORD.rstrip()}, started_at = excluded.started_at"
# A name ends in `host:pid`, alone or behind an @.
_ALIVE = """
SELECT count(*) FROM scheduling_serviceheartbeat
 WHERE kind = %(kind)s AND seen_at > statement_timestamp() - make_interval(secs => %(seconds)s)
   AND (%(host)s = '' OR strpos('@' || name, '@' || %(host)s || ':') > 0)
"""
_UNHEARD = """
SELECT split_part(name, ':', -1)::int FROM scheduling_serviceheartbeat
 WHERE kind = %(kind)s AND seen_at < statement_timestamp() - make_interval(secs => %(seconds)s)
   AND strpos('@' || name, '@' || %(host)s || ':') > 0
"""


def record(kind: str, name: str) -> None:
    """Says that this process (`kind`: web, worker, beat; `name` unique) is alive now."""
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [kind, name])


def begin(kind: str, name: str) -> None:
    """Says that it has just started. In a container one has the name of the one it replaces, which
    may have been killed and not have taken it away."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [kind, name])


def alive(kind: str, within_seconds: float = ALIVE_WITHIN_SECONDS, host: str = "") -> int:
    """How many processes of this kind, on this host where one is named, were heard of within this
    time."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIVE, {"kind": kind, "seconds": within_seconds, "host": host})
        (number,) = cursor.fetchone()
    return int(number)


def unheard(kind: str, for_seconds: float, host: str) -> list[int]:
    """The ids of the processes on this host that said they live, but not for this long."""
    with connection.cursor() as cursor:
        cursor.execute(_UNHEARD, {"kind": kind, "seconds": for_seconds, "host": host})
        return [pid for (pid,) in cursor.fetchall()]


def forget(kind: str, name: str) -> None:
    """Says that this process ends in good order."""
    ServiceHeartbeat.objects.filter(kind=kind, name=name).delete()
