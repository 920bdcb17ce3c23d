"""What any protocol that keeps its promises has to write of a run, and nothing else.

Five commits: that it is wanted, what was signed for it, who claimed it, that it may have begun, how it
ended. In a bare table with a primary key, a thousand runs a statement, one after the other.
"""

from __future__ import annotations

import time
from uuid import uuid4

import psycopg

BATCH = 1_000
TRIES = 3
TERMS, SIGNATURE = b"t" * 600, b"s" * 64
_TABLE = """
CREATE TABLE bench_commits (id uuid PRIMARY KEY, device uuid NOT NULL, status text NOT NULL,
    terms bytea, signature bytea, session uuid, changed_at timestamptz NOT NULL DEFAULT now())
"""
_STATEMENTS = (
    "INSERT INTO bench_commits (id, device, status) SELECT unnest(%(ids)s::uuid[]), %(one)s, 'pending'",
    "UPDATE bench_commits SET status = 'queued', terms = %(terms)s, signature = %(signature)s,"
    " changed_at = now() WHERE id = ANY(%(ids)s)",
    "UPDATE bench_commits SET status = 'claimed', session = %(one)s, changed_at = now()"
    " WHERE id = ANY(%(ids)s)",
    "UPDATE bench_commits SET status = 'running', changed_at = now() WHERE id = ANY(%(ids)s)",
    "UPDATE bench_commits SET status = 'succeeded', changed_at = now() WHERE id = ANY(%(ids)s)",
)


def measure(database_url: str, runs: int) -> float:
    """Seconds for so many runs, the best of three."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_TABLE)
        try:
            return min(_write(connection, runs) for _ in range(TRIES))
        finally:
            connection.execute("DROP TABLE bench_commits")


def _write(connection: psycopg.Connection, runs: int) -> float:
    ids = [uuid4() for _ in range(runs)]
    began = time.perf_counter()
    for statement in _STATEMENTS:
        for first in range(0, runs, BATCH):
            given = {"ids": ids[first : first + BATCH], "one": uuid4()}
            connection.execute(statement, {**given, "terms": TERMS, "signature": SIGNATURE})
    return time.perf_counter() - began
