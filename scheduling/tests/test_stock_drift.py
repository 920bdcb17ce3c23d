"""A hundred runs of an interval under the stock scheduler alone, in seconds: its clock and the
database's are moved, all else is real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from celery.app import app_or_default
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from django_celery_beat import schedulers
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from scheduling import clock, tasks
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

EVERY = timedelta(seconds=10)
# What a round of a scheduler takes, and how soon after its message a worker opens the occurrence.
TICK, WORKER = timedelta(milliseconds=7.3), timedelta(milliseconds=50)

# PostgreSQL finds this function before its own one of the same name.
_MOVED = """
CREATE SCHEMA moved;
CREATE FUNCTION moved.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
    AS $$ SELECT current_setting('moved.now')::timestamptz $$;
SET search_path = moved, pg_catalog, public;
"""


@dataclass
class Clock:
    """The one clock there is: stock's, and the database's."""

    moment: datetime

    def now(self, *arguments: Any) -> datetime:
        return self.moment

    def go(self, on: timedelta) -> None:
        self.moment += on
        with connection.cursor() as cursor:
            cursor.execute(f"SET moved.now = '{self.moment.isoformat()}'")


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with connection.cursor() as cursor:
        cursor.execute(_MOVED)
    clock = Clock(datetime.now(UTC))
    clock.go(timedelta(0))
    monkeypatch.setattr(timezone, "now", clock.now)
    monkeypatch.setattr(app_or_default(), "now", clock.now)
    monkeypatch.setattr(ModelEntry, "_default_now", clock.now)
    monkeypatch.setattr(DatabaseScheduler, "producer", None)
    # The moved clock is this connection's: it must not be exchanged.
    monkeypatch.setattr(schedulers, "close_old_connections", lambda: None)
    yield clock
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA moved CASCADE; RESET search_path")


def anchor(mirrored: PeriodicTask) -> datetime | None:
    """The nominal time from which stock counts to the next."""
    assert mirrored.enabled
    counted: datetime | None = mirrored.last_run_at
    return mirrored.clocked.clocked_time - EVERY if mirrored.clocked else counted


def run(stock: DatabaseScheduler, clock: Clock, runs: int) -> None:
    """The runs, in at most half as much time again as they should take."""
    end = clock.moment + runs * EVERY * 1.5
    while Execution.objects.count() < runs and clock.moment < end:
        seconds = stock.tick()
        clock.go(TICK + timedelta(seconds=max(0.0, seconds)))
    stock._finalize.cancel()


@pytest.mark.parametrize("is_armed", [False, True], ids=["interval", "armed anew each time"])
def test_100_runs_do_not_drift(
    moved: Clock, monkeypatch: pytest.MonkeyPatch, is_armed: bool
) -> None:
    admin: User = factories.person("admin", is_administrator=True)
    task = factories.task(
        admin,
        groups=[factories.group()],
        recurrence_type="interval",
        recurrence_config={"every": 10, "unit": "seconds"},
        # With an end, no interval of stock's says the rule exactly.
        end_at=(moved.moment + timedelta(days=1)).isoformat() if is_armed else None,
    )
    assert clock.now() == moved.moment
    anchors: list[datetime | None] = []

    def work(self: DatabaseScheduler, entry: ModelEntry, **options: Any) -> None:
        if entry.task != tasks.open_due.name:
            return
        moved.go(WORKER)
        tasks.open_due(*entry.args)
        anchors.append(anchor(PeriodicTask.objects.get(scheduled_task=task)))

    monkeypatch.setattr(DatabaseScheduler, "apply_async", work)
    run(DatabaseScheduler(app=app_or_default(), max_interval=5), moved, 100)

    opened = list(Execution.objects.order_by("scheduled_for"))
    nominal = [execution.scheduled_for for execution in opened if execution.scheduled_for]
    due = [execution.due_at for execution in opened if execution.due_at]
    assert due == nominal
    assert nominal[0] == task.created_at + EVERY
    assert {later - earlier for earlier, later in pairwise(nominal)} == {EVERY}
    assert anchors == nominal
    assert {execution.opened_by for execution in opened} == {"stock"}
    late = [execution.created_at - moment for execution, moment in zip(opened, due, strict=True)]
    assert timedelta(0) <= min(late)
    assert max(late) - min(late) < 2 * TICK  # none is later for those before it
    assert ScheduledTask.objects.get().next_scheduled_for == nominal[-1] + EVERY
