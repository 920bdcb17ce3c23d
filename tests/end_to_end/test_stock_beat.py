"""A site that runs django-celery-beat's own scheduler, and no reconcile, still gets its runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.beating import STOCK, Installation, installation
from tests.running import until

EVERY = timedelta(seconds=10)
# So long a machine that does much else may take from the test's clock to the last task made.
AHEAD = timedelta(seconds=45)

_SET_UP = "SELECT FROM django_celery_beat_periodictask WHERE name = 'deployx.prune'"
_MIRROR = """
SELECT task.name, crontab_id IS NOT NULL, interval_id IS NOT NULL, clocked.clocked_time,
       task.next_run_time
  FROM scheduled_tasks task
  JOIN django_celery_beat_periodictask mirrored ON mirrored.id = task.periodic_task_id
  LEFT JOIN django_celery_beat_clockedschedule clocked ON clocked.id = mirrored.clocked_id
"""


def opened(made: Installation, task: str) -> list[dict[str, Any]]:
    rows = made.query(
        "SELECT scheduled_for, due_at, created_at, opened_by FROM scheduled_task_executions"
        " WHERE task_id = %s ORDER BY scheduled_for",
        task,
    )
    return [dict(zip(("at", "due", "created", "by"), row, strict=True)) for row in rows]


def next_minute() -> datetime:
    later = datetime.now(UTC) + AHEAD
    return later.replace(second=0, microsecond=0) + timedelta(minutes=1)


@pytest.mark.timeout(600)
def test_the_stock_scheduler_alone_opens_all_six_types() -> None:
    with installation(is_durable=False, DEPLOYX_RECONCILE="off") as made:
        made.worker()
        made.beat("stock", STOCK)
        until(lambda: made.query(_SET_UP) or None, what="the stock beat's own tasks")
        due = next_minute()
        tasks = json.loads(made.python("-m", "tests.six_types", f"{due:%Y-%m-%dT%H:%M}"))
        once_each = {"once", "daily", "weekly", "monthly", "custom"}
        for name in once_each:
            (one,) = until(lambda task=tasks[name]: opened(made, task), 180, what=f"{name} opened")  # type: ignore[misc]
            assert (one["at"], one["due"], one["by"]) == (due, due, "stock"), name
            assert one["created"] >= due
        for name in ("interval", "armed"):
            until(lambda task=tasks[name]: len(opened(made, task)) >= 3 or None, 60, what=name)  # type: ignore[misc]
            runs = opened(made, tasks[name])
            assert {later["at"] - earlier["at"] for earlier, later in pairwise(runs)} == {EVERY}
            assert {run["by"] for run in runs} == {"stock"}
        mirrored = {name: rest for name, *rest in made.query(_MIRROR)}
    assert all(mirrored[name][0] for name in once_each - {"once"})
    assert mirrored["interval"][1]
    # The next occurrence is armed in the transaction that opened the last one.
    assert mirrored["armed"][2] == mirrored["armed"][3]
    assert mirrored["once"][3] is None
