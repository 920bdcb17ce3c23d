from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult

from accounts.models import IdempotencyKey
from devices.models import Device
from scheduling import outputs, pruning, schedules
from scheduling.beat import mirror
from scheduling.models import (
    DeviceRun,
    Execution,
    OutputChunk,
    OutputGap,
    ScheduledTask,
    ServiceHeartbeat,
)
from scheduling.tests import factories


@pytest.fixture
def run(admin: User) -> DeviceRun:
    """Has ended, after writing something."""
    execution = factories.execution(factories.task(admin))
    run = factories.run(execution, status="running")
    factories.write_output(run, b"0123456789")
    factories.ledger.results([factories.result_of(run, output_length=10)])
    run.refresh_from_db()
    return run


def age(run: DeviceRun, days: float) -> None:
    moment = timezone.now() - timedelta(days=days)
    DeviceRun.objects.filter(pk=run.pk).update(finished_at=moment)


def test_output_goes_after_thirty_days_and_leaves_its_length(run: DeviceRun) -> None:
    age(run, 30.1)
    OutputGap.objects.create(run=run, offset=3, bytes=2)
    assert pruning.prune()["output"] == 1
    run.refresh_from_db()
    part = outputs.read(run)
    assert (part.text, part.finished, part.truncated) == ("[10 bytes dropped]", True, True)
    assert (OutputChunk.objects.count(), part.dropped_bytes, run.output_kept) == (0, 10, 0)
    assert pruning.prune()["output"] == 0


def test_younger_output_stays(run: DeviceRun) -> None:
    age(run, 29.9)
    assert pruning.prune()["output"] == 0
    assert outputs.read(run).text == "0123456789"


def test_output_of_many_runs_goes_in_batches(admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "RUNS_AT_ONCE", 2)
    execution = factories.execution(factories.task(admin))
    for _number in range(5):
        run = factories.run(execution, status="running")
        factories.write_output(run, b"x")
        DeviceRun.objects.filter(pk=run.pk).move("failed", finished_at=timezone.now())
        age(run, 31)
    assert pruning.prune()["output"] == 5
    assert OutputGap.objects.count() == 5


def test_history_goes_after_its_days_and_what_runs_never(admin: User) -> None:
    task = factories.task(admin)
    old, young = (factories.execution(task, status="success") for _number in range(2))
    running = factories.execution(task)
    factories.run(old, status="succeeded")
    long_ago = timezone.now() - timedelta(days=401)
    Execution.objects.filter(pk=old.pk).update(completed_at=long_ago)
    Execution.objects.filter(pk=running.pk).update(created_at=long_ago)
    assert pruning.prune()["executions"] == 1
    assert set(Execution.objects.all()) == {young, running}
    assert not DeviceRun.objects.exists()


def test_what_was_made_for_one_execution_goes_with_it(admin: User, web_device: Device) -> None:
    given = factories.definition(devices=[web_device])
    old, young = (schedules.execute_now(admin, given) for _number in range(2))
    planned = factories.task(admin)
    long_ago = timezone.now() - timedelta(days=401)
    ScheduledTask.objects.update(created_at=long_ago)
    assert pruning.prune()["ad_hoc_tasks"] == 0
    Execution.objects.filter(pk=old.pk).move("cancelled", completed_at=long_ago)
    assert pruning.prune()["ad_hoc_tasks"] == 1
    assert set(ScheduledTask.objects.all()) == {young.task, planned}
    assert PeriodicTask.objects.filter(task=mirror.OPEN_DUE).count() == 2


def test_what_is_kept_for_a_day_or_a_week_goes_after_it(admin: User) -> None:
    now = timezone.now()
    for number, days in enumerate((0, 2, 8)):
        moment = now - timedelta(days=days)
        key = IdempotencyKey.objects.create(
            user=admin, method="POST", path="/", key=str(number), body_sha256=""
        )
        IdempotencyKey.objects.filter(pk=key.pk).update(created_at=moment)
        result = TaskResult.objects.create(task_id=str(number))
        TaskResult.objects.filter(pk=result.pk).update(date_done=moment)
        ServiceHeartbeat.objects.create(
            kind="web", name=str(number), started_at=moment, seen_at=moment
        )
    done = pruning.prune()
    assert (done["idempotency_keys"], done["results"], done["heartbeats"]) == (2, 1, 2)
