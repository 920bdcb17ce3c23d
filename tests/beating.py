"""Beats and workers on services of their own, without a web process or an agent: what tests and
benchmarks of a scheduler need, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from deployx.embedded.throwaway import Throwaway
from deployx.supervisor import Process
from deployx.system import System
from scheduling.options import Retry, Rollout
from tests import prepared
from tests.running import CHECKOUT, until

STOCK = "django_celery_beat.schedulers:DatabaseScheduler"

# A moved clock: PostgreSQL looks here first for the function by which all of DeployX asks the time.
_MOVE_CLOCK = """
CREATE SCHEMA IF NOT EXISTS moved;
CREATE OR REPLACE FUNCTION moved.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
    AS $$ SELECT pg_catalog.statement_timestamp() + interval '{seconds} seconds' $$;
ALTER DATABASE deployx SET search_path = moved, pg_catalog, public;
"""

_INSERT = """
WITH numbered AS (
    SELECT n, gen_random_uuid() AS id,
           date_trunc('milliseconds', statement_timestamp()
               + make_interval(secs => %(begin)s + (n - 1) * %(apart)s)) AS due
      FROM generate_series(1, %(number)s) AS n
), clock AS (
    INSERT INTO django_celery_beat_clockedschedule (id, clocked_time)
    SELECT %(base)s + n, due FROM numbered
), mirrored AS (
    INSERT INTO django_celery_beat_periodictask
           (id, name, task, args, kwargs, queue, headers, one_off, enabled, total_run_count,
            date_changed, description, clocked_id)
    SELECT %(base)s + n, 'Burst (' || id || ')', 'scheduling.tasks.open_due',
           '[[["' || id || '", null]]]', '{}', 'dispatch', '{}', true, true, 0,
           statement_timestamp(), '', %(base)s + n
      FROM numbered
)
INSERT INTO scheduled_tasks
       (id, user_id, name, description, tags, task_type, task_payload, status, is_paused, ad_hoc,
        recurrence_type, recurrence_config, time_zone, jitter_seconds, excluded_dates,
        next_scheduled_for, next_run_time, periodic_task_id, last_execution_status,
        execution_count, scheduled_run_count, device_ids, group_ids, misfire_policy,
        misfire_grace_seconds, overlap_policy, offline_policy, expires_after_seconds,
        timeout_seconds, rollout, retry, created_at, updated_at)
SELECT id, %(user)s, 'Burst', '', '[]', 'command', '{"command": "true"}', 'pending', false, false,
       'once', jsonb_build_object('run_at',
           to_char(due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')),
       'UTC', 0, '[]', due, due, %(base)s + n, '', 0, 0,
       CASE cardinality(%(devices)s::text[]) WHEN 0 THEN '[]'
            ELSE jsonb_build_array((%(devices)s::text[])[1 + n %% cardinality(%(devices)s::text[])])
        END,
       '[]', 'run_latest', 300,
       'skip', 'queue', 86400, 3600, %(rollout)s, %(retry)s, statement_timestamp(),
       statement_timestamp()
  FROM numbered
RETURNING id::text, next_scheduled_for
"""
_FREE = "SELECT coalesce(max(id), 0) + 1000 FROM django_celery_beat_periodictask"
_USER = """
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff,
                       is_active, date_joined)
VALUES ('', true, 'admin', '', '', '', true, true, now()) RETURNING id
"""


@dataclass(slots=True)
class Installation:
    """`folder` holds the logs and the signing key. Programs are started by the thread that entered
    `installation()`: Linux ends them with it."""

    services: Throwaway
    system: System
    folder: Path
    database: psycopg.Connection[Any]
    user_id: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    def beat(self, name: str, scheduler: str = "") -> Process:
        """One more beat, ours unless another `scheduler` is named. It may not be ready yet."""
        program = self.system.beat(name)
        if scheduler:
            program = replace(program, argv=(*program.argv, "--scheduler", scheduler))
        return self._start(name, program)

    def worker(self, name: str = "worker") -> Process:
        """One more worker, once it is heard of."""
        process = self._start(name, self.system.worker(name))
        until(lambda: self.alive("worker") or None, what="the worker is heard of")
        return process

    def alive(self, kind: str, within_seconds: float = 30.0) -> int:
        """How many workers or beats were heard of within this time."""
        ((number,),) = self.query(
            "SELECT count(*) FROM scheduling_serviceheartbeat"
            " WHERE kind = %s AND seen_at > statement_timestamp() - make_interval(secs => %s)",
            kind,
            within_seconds,
        )
        return int(number)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Its rows, over a connection that is made anew where the server was restarted."""
        try:
            return self._rows(sql, parameters)
        except psycopg.OperationalError:
            self.database.close()
            return self._rows(sql, parameters)

    def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        if self.database.closed:
            self.database = psycopg.connect(self.services.database_url, autocommit=True)
        return self.database.execute(sql, parameters or None).fetchall()

    def tasks(
        self,
        number: int,
        *,
        begin: float,
        apart: float,
        devices: Sequence[str] = (),
    ) -> dict[str, Any]:
        """So many one-off tasks with their PeriodicTasks, the first due in `begin` seconds by the
        database's clock, the others `apart` seconds after each other: {id: when}. Each targets one
        of these `devices` in turn, or nobody."""
        ((base,),) = self.query(_FREE)
        parameters = {
            "number": number,
            "begin": begin,
            "apart": apart,
            "base": base,
            "user": self.user_id,
            "devices": list(devices),
            "rollout": Jsonb(Rollout.defaults()),
            "retry": Jsonb(Retry.defaults()),
        }
        return dict(self.database.execute(_INSERT, parameters).fetchall())

    @property
    def environment(self) -> dict[str, str]:
        """Ours, with the installation's settings."""
        return {**os.environ, "PYTHONTZPATH": "", **self.system.environment}

    def manage(self, *argv: str) -> str:
        return self.python("manage.py", *argv)

    def python(self, *argv: str) -> str:
        """Runs this Python in the checkout with the installation's settings; what it printed."""
        done = subprocess.run(
            [sys.executable, *argv],
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        """Ends every program that was started here."""
        self._stack.close()
        self.database.close()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, program: Any) -> Process:
        log = self._stack.enter_context((self.folder / f"{name}.log").open("ab"))
        process: Process = program.start(log.fileno())
        self._stack.callback(process.kill)
        return process


@contextmanager
def installation(
    *, clock_ahead_seconds: int = 0, is_durable: bool = True, **settings: str
) -> Iterator[Installation]:
    """Services and an empty database of their own; everything started there ends with it.

    `clock_ahead_seconds` is how far the database's clock is ahead of every program's.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deployx-beat-")))
        services = Throwaway(is_durable=is_durable, begin=prepared.begin)
        services.start()
        stack.callback(services.stop)
        environment = {
            "DATABASE_URL": services.database_url,
            "REDIS_URL": services.redis_url,
            "DEPLOYX_SECRET_KEY": "of-this-installation-alone-" + "0123456789" * 4,
            "DEPLOYX_SIGNING_KEY_FILE": str(folder / "signing.key"),
            "DJANGO_SETTINGS_MODULE": "deployx.settings",
            **settings,
        }
        database = psycopg.connect(services.database_url, autocommit=True)
        made = Installation(services, System(0, folder, environment), folder, database)
        made.manage("migrate", "--verbosity", "0")
        if clock_ahead_seconds:
            database.execute(_MOVE_CLOCK.format(seconds=clock_ahead_seconds))
            database.close()  # the setting is for connections made from now on
        ((made.user_id,),) = made.query(_USER)
        try:
            yield made
        finally:
            made.stop()
