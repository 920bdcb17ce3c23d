"""Other apps' periodic tasks under our beat: none is lost while the broker is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.app import app_or_default
from django.db import connection
from django.db.models import F
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler

from scheduling import health
from scheduling.beat import FleetScheduler, scheduler
from scheduling.tasks import prune

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = "other.work"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def apply_async(self: FleetScheduler, entry: Any, **options: Any) -> None:
        names.append(entry.task)

    monkeypatch.setattr(FleetScheduler, "apply_async", apply_async)
    return names


@contextmanager
def started() -> Iterator[FleetScheduler]:
    one = FleetScheduler(app=app_or_default())
    yield one
    one.close()
    one._finalize.cancel()


@pytest.fixture
def beat() -> Iterator[FleetScheduler]:
    with started() as one:
        yield one


@pytest.fixture
def no_redis(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    health._redis.cache_clear()
    yield
    health._redis.cache_clear()


def overdue_task() -> PeriodicTask:
    every_day = IntervalSchedule.objects.create(every=1, period="days")
    return PeriodicTask.objects.create(
        name="other", task=OTHER, interval=every_day, last_run_at=timezone.now() - timedelta(days=2)
    )


def rounds(one: FleetScheduler, number: int = 6) -> None:
    for _round in range(number):
        one.tick()


def test_one_that_is_due_is_sent_once(beat: FleetScheduler, sent: list[str]) -> None:
    overdue_task()
    rounds(beat)
    assert sent.count(OTHER) == 1


def test_one_that_is_due_waits_for_the_broker(
    beat: FleetScheduler, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    overdue_task()
    with monkeypatch.context() as patch:
        patch.setattr(health, "redis_answers", lambda: False)
        rounds(beat)
    assert OTHER not in sent
    beat._heap = None  # a second later, it looks again
    rounds(beat)
    assert sent.count(OTHER) == 1


def test_a_beat_without_a_broker_does_not_stand_still(
    beat: FleetScheduler, sent: list[str], no_redis: None
) -> None:
    overdue_task()
    assert beat.tick() <= scheduler.LONGEST_SLEEP_SECONDS
    assert "producer" not in beat.__dict__


def test_a_change_is_seen_within_seconds(
    beat: FleetScheduler, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds(beat)
    overdue_task()
    PeriodicTasks.update_changed()
    later = time.monotonic() + scheduler.FLAG_LOOK_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    rounds(beat)
    assert sent.count(OTHER) == 1


def test_what_is_due_at_night_is_done_where_a_beat_runs_by_day_alone(sent: list[str]) -> None:
    with started() as one:
        rounds(one)
    assert prune.name not in sent
    a_day_ago = F("last_run_at") - timedelta(days=1)
    PeriodicTask.objects.filter(task=prune.name).update(last_run_at=a_day_ago)
    with started() as another:
        rounds(another)
    with started() as third:
        rounds(third)
    assert sent.count(prune.name) == 1


def test_the_parents_part_is_never_run_in_a_transaction(
    beat: FleetScheduler, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []
    seen = DatabaseScheduler.tick

    def tick(self: FleetScheduler, *arguments: Any, **options: Any) -> Any:
        inside.append(connection.in_atomic_block)
        return seen(self, *arguments, **options)

    monkeypatch.setattr(DatabaseScheduler, "tick", tick)
    rounds(beat, 2)
    assert inside == [False, False]
