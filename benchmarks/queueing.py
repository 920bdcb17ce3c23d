"""Runs that wait: what a database holds whose rollouts are paused and whose devices are away."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from benchmarks.simulated import enlist

AWAY = 100
_QUEUE = """
WITH origin AS (
    SELECT run.*, row_number() OVER () AS place
      FROM scheduled_task_device_runs AS run
      JOIN scheduled_task_executions AS execution ON execution.id = run.execution_id
     WHERE run.status = 'succeeded' ORDER BY run.id DESC LIMIT 1
), execution AS (
    INSERT INTO scheduled_task_executions
    SELECT made.*
      FROM origin JOIN scheduled_task_executions AS execution ON execution.id = origin.execution_id
     CROSS JOIN LATERAL jsonb_populate_record(execution, jsonb_build_object(
               'id', uuidv7(), 'status', 'running', 'completed_at', NULL, 'result', '{}'::jsonb,
               'ended_as', '', 'rollout_paused_at', now())) AS made
    RETURNING id
)
INSERT INTO scheduled_task_device_runs
SELECT made.*
  FROM generate_series(0, %(number)s - 1) AS given (place)
  JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS device (id, place)
    ON device.place - 1 = given.place %% %(devices)s
 CROSS JOIN origin AS picked
  JOIN scheduled_task_device_runs AS run ON run.id = picked.id
 CROSS JOIN LATERAL jsonb_populate_record(run, jsonb_build_object(
           'id', uuidv7(), 'execution_id', (SELECT id FROM execution), 'device_id', device.id,
           'attempt', given.place / %(devices)s + 1, 'status', 'pending', 'has_slot', false,
           'queued_at', now(), 'not_after', now() + interval '1 day', 'claimed_at', NULL,
           'claim_session', NULL, 'started_at', NULL, 'deadline_at', NULL, 'finished_at', NULL,
           'exit_code', NULL, 'task_id', NULL)) AS made
RETURNING execution_id
"""
_QUEUED = "UPDATE scheduled_task_device_runs SET status = 'queued' WHERE execution_id = %s"


def queue_up(database_url: str, number: int, devices: Sequence[str]) -> None:
    """So many queued runs of one paused rollout, copies of one that ended, on these devices and on as
    many as are away."""
    ids = [*devices[:AWAY], *(one.id for one in enlist(database_url, AWAY, "away"))]
    with psycopg.connect(database_url) as connection:
        given = {"number": number, "devices": len(ids), "ids": ids}
        row = connection.execute(_QUEUE, given).fetchone()
        if row is not None:
            connection.execute(_QUEUED, [row[0]])
