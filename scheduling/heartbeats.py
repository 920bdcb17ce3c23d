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


def record(kind: str, name: str) -> None:
    """Says that this process (`kind`: web, worker, beat; `name` unique) is alive now."""
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [kind, name])


def alive(kind: str, within_seconds: float = ALIVE_WITHIN_SECONDS) -> int:
    """How many processes of this kind were heard of within this time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM scheduling_serviceheartbeat WHERE kind = %s"
            " AND seen_at > statement_timestamp() - make_interval(secs => %s)",
            [kind, within_seconds],
        )
        (number,) = cursor.fetchone()
    return int(number)


def forget(kind: str, name: str) -> None:
    """Says that this process ends in good order."""
    ServiceHeartbeat.objects.filter(kind=kind, name=name).delete()
