"""Halts in the database itself: the next transaction that takes a step waits before its commit, or is
told of right after it, so that a program can be killed at that very moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from tests.running import until

_LOCK = 4_711
_PATIENCE_SECONDS = 240
_INSTALL = f"""
CREATE OR REPLACE FUNCTION fault_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('fault', '');
    PERFORM pg_advisory_lock_shared({_LOCK});
    PERFORM pg_advisory_unlock_shared({_LOCK});
    RETURN NULL;
END $$
"""
_WAITING = f"""
SELECT count(*) FROM pg_locks
 WHERE locktype = 'advisory' AND objid = {_LOCK} AND mode = 'ShareLock' AND NOT granted
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What a program of the server does to a row, as a trigger sees it."""

    name: str
    table: str
    event: str
    condition: str = "true"


def _run_to(status: str) -> Step:
    return Step(
        f"run to {status}",
        "scheduled_task_device_runs",
        "UPDATE OF status",
        f"NEW.status = '{status}' AND OLD.status <> NEW.status",
    )


STEPS = (
    Step("execution opened", "scheduled_task_executions", "INSERT"),
    Step("runs made", "scheduled_task_device_runs", "INSERT"),
    _run_to("queued"),
    _run_to("claimed"),
    _run_to("running"),
    Step("output kept", "scheduling_outputchunk", "INSERT"),
    _run_to("succeeded"),
    _run_to("failed"),
    Step(
        "execution ended",
        "scheduled_task_executions",
        "UPDATE OF completed_at",
        "NEW.completed_at IS NOT NULL",
    ),
    Step(
        "device welcomed",
        "devices_device",
        "UPDATE OF session",
        "NEW.session IS DISTINCT FROM OLD.session",
    ),
)
MOMENTS = ("before its commit", "after its commit")


@contextmanager
def gate(
    database_url: str, step: Step, moment: str, begin: Callable[[], None] | None = None
) -> Iterator[psycopg.Connection]:
    """Yields when a transaction stands at the step; what it holds it holds until the block ends.
    `begin`, which makes somebody take the step, is called when it can no longer be missed.

    After its commit, nothing stands: the block comes within a millisecond or so of it.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_INSTALL)
        connection.execute("LISTEN fault")
        if moment == MOMENTS[0]:
            connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        _hang(connection, step)
        try:
            if begin is not None:
                begin()
            if moment == MOMENTS[0]:
                until(
                    lambda: _is_waited_for(connection),
                    _PATIENCE_SECONDS,
                    what=f"{step.name} {moment}",
                )
            else:
                told = list(connection.notifies(timeout=_PATIENCE_SECONDS, stop_after=1))
                assert told, f"never {step.name}"
            yield connection
        finally:
            connection.execute("SELECT pg_advisory_unlock_all()")
            connection.execute(f"DROP TRIGGER fault_gate ON {step.table}")


def _hang(connection: psycopg.Connection, step: Step) -> None:
    # Locks out whoever writes to the table for a moment, and so may have to wait for them.
    connection.execute(
        f"CREATE TRIGGER fault_gate AFTER {step.event} ON {step.table}"
        f" FOR EACH ROW WHEN ({step.condition}) EXECUTE FUNCTION fault_gate()"
    )


def _is_waited_for(connection: psycopg.Connection) -> bool | None:
    row = connection.execute(_WAITING).fetchone()
    return bool(row and row[0]) or None
