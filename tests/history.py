"""Rows by the hundred thousand, as years of work leave them: for tests and benchmarks of size.

A row that was made in the ordinary way is copied in SQL. What the triggers hold is not asked of the
copies, which no verb has ever touched. Each function takes a cursor of a superuser.
"""

from __future__ import annotations

from typing import Any, Protocol

_COLUMNS = """
SELECT column_name FROM information_schema.columns
 WHERE table_schema = current_schema() AND table_name = %s AND is_generated = 'NEVER'
"""
# The n-th copy is n seconds old.
_ID = "uuidv7(make_interval(secs => -n))"
_DEVICES = """
CROSS JOIN LATERAL (SELECT id AS device, name AS called FROM copied_devices
                     WHERE place = 1 + (n - 1) % (SELECT count(*) FROM copied_devices)) AS target
"""
_PLACES = """
CREATE TEMPORARY TABLE copied_devices AS
SELECT id, name, row_number() OVER (ORDER BY name) AS place
  FROM devices_device WHERE name LIKE 'device-______';
CREATE UNIQUE INDEX ON copied_devices (place);
ANALYZE copied_devices
"""
_COUNT = """
WITH numbers AS (
    SELECT status, count(*) AS runs FROM scheduled_task_device_runs
     WHERE execution_id = %(execution)s GROUP BY status)
UPDATE scheduled_task_executions
   SET result = jsonb_build_object(
       'devices_targeted', (SELECT sum(runs) FROM numbers),
       'devices_succeeded', (SELECT coalesce(sum(runs), 0) FROM numbers WHERE status = 'succeeded'),
       'devices_failed', (SELECT coalesce(sum(runs), 0) FROM numbers WHERE status = 'failed'),
       'counts', (result -> 'counts') || (SELECT jsonb_object_agg(status, runs) FROM numbers))
 WHERE id = %(execution)s
"""
_NEW = """
CREATE TEMPORARY TABLE copied_executions AS
SELECT n AS place, uuidv7(make_interval(secs => -n * %(apart)s)) AS id, task.id AS task,
       now() - make_interval(secs => n * %(apart)s) AS moment
  FROM generate_series(1, %(number)s) AS n
  JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM scheduled_tasks) AS task
    ON task.place = 1 + n %% (SELECT count(*) FROM scheduled_tasks)
"""
_END = "CASE n % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'partial' ELSE 'success' END"


class Cursor(Protocol):
    """What psycopg's cursor and Django's have in common."""

    def execute(self, sql: Any, parameters: Any = None) -> Any: ...
    def fetchall(self) -> list[Any]: ...


def devices(cursor: Cursor, original: str, number: int) -> None:
    """Named after their number; away."""
    copies(
        cursor,
        "devices_device",
        original,
        number,
        id=_ID,
        name="'device-' || lpad(n::text, 6, '0')",
        public_key="sha256(n::text::bytea)",
        is_online="false",
        session="NULL",
    )
    cursor.execute(_PLACES)


def tasks(cursor: Cursor, original: str, number: int) -> None:
    """Without a time of their own."""
    name = "'Task ' || lpad(n::text, 6, '0')"
    copies(cursor, "scheduled_tasks", original, number, id=_ID, name=name, periodic_task_id="NULL")


def runs(cursor: Cursor, original: str, number: int, **different: str) -> None:
    """Of the original's execution, on one copied device each; ended unless said differently."""
    columns = {**_of_a_copy(), **different}
    copies(cursor, "scheduled_task_device_runs", original, number, joined=_DEVICES, **columns)


def count(cursor: Cursor, execution: str) -> None:
    """Writes down what the execution's runs came to."""
    cursor.execute(_COUNT, {"execution": execution})


def executions(cursor: Cursor, original: str, run: str, number: int, *, runs: int) -> None:
    """Each with so many copies of `run`; every tenth is the original's task's, the others are
    spread over all tasks."""
    cursor.execute(_NEW, {"number": number, "apart": runs})
    copies(
        cursor,
        "scheduled_task_executions",
        original,
        number,
        joined="JOIN copied_executions AS made ON made.place = n",
        id="made.id",
        task_id="CASE WHEN n % 10 = 0 THEN original.task_id ELSE made.task END",
        created_at="made.moment",
        started_at="made.moment",
        completed_at="made.moment + interval '3 seconds'",
        status=_END,
        ended_as=_END,
    )
    joined = f"{_DEVICES} JOIN copied_executions AS made ON made.place = 1 + (n - 1) / {runs}"
    columns = {"execution_id": "made.id", "task_id": "made.task", **_of_a_copy()}
    copies(cursor, "scheduled_task_device_runs", run, number * runs, joined=joined, **columns)
    cursor.execute("DROP TABLE copied_executions")


def copies(
    cursor: Cursor, table: str, original: str, number: int, *, joined: str = "", **different: str
) -> None:
    """So many copies of the row with this id. `different` has a column's SQL over `n`, the copy's
    number from 1; `joined` is more to select from."""
    cursor.execute(_COLUMNS, [table])
    columns = {name: different.get(name, f"original.{name}") for (name,) in cursor.fetchall()}
    names = ", ".join(f'"{name}"' for name in columns)
    cursor.execute("SET session_replication_role = replica")
    try:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {', '.join(columns.values())}"
            f" FROM {table} AS original CROSS JOIN generate_series(1, {number}) AS n {joined}"
            f" WHERE original.id = '{original}'"
        )
    finally:
        cursor.execute("SET session_replication_role = origin")


def _of_a_copy() -> dict[str, str]:
    """What a copied run has of its own; three of four have succeeded."""
    return {
        "id": _ID,
        "device_id": "device",
        "device_name": "called",
        "status": "CASE n % 4 WHEN 0 THEN 'failed' ELSE 'succeeded' END",
        "exit_code": "(n % 4 = 0)::int",
    }
