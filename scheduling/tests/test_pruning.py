from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery.app import app_or_default
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult

from accounts.models import IdempotencyKey
from devices.models import Device, EnrollmentToken
from scheduling import outputs, pruning, schedules
from scheduling.beat import mirror
from scheduling.connection import own_connection
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


def test_a_large_history_goes_in_batches_and_goes_on_where_it_was_interrupted(
    admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    monkeypatch.setattr(pruning, "EXECUTIONS_AT_ONCE", 2)
    task = factories.task(admin)
    for number in range(5):
        old = factories.execution(task, status="success")
        for _run in range(number * 2):
            factories.run(old, status="succeeded")
    Execution.objects.update(completed_at=timezone.now() - timedelta(days=401))
    seen: list[dict[str, int]] = []

    def interrupt(numbers: dict[str, int]) -> None:
        seen.append(dict(numbers))
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pruning.prune(interrupt)
    left = (Execution.objects.count(), DeviceRun.objects.count())
    assert left == (5 - seen[-1]["executions"], 20 - seen[-1]["runs"])
    assert 0 < left[1] < 20
    rest = pruning.prune()
    assert (rest["executions"], rest["runs"]) == left
    assert not Execution.objects.exists()


def test_counting_says_what_would_go_and_deletes_nothing(run: DeviceRun) -> None:
    age(run, 31)
    old = factories.execution(run.execution.task or factories.task(run.execution.user))
    factories.run(old, status="succeeded")
    moved = Execution.objects.filter(pk=old.pk)
    moved.move("success", completed_at=timezone.now() - timedelta(days=401))
    counted = pruning.count()
    assert (counted["output"], counted["executions"], counted["runs"]) == (1, 1, 1)
    assert OutputChunk.objects.exists()
    assert {name: number for name, number in pruning.prune().items() if number} == {
        name: number for name, number in counted.items() if number
    }


def test_with_its_time_up_it_leaves_the_rest(run: DeviceRun) -> None:
    age(run, 31)
    assert pruning.prune(most_seconds=0.0)["output"] == 0
    assert pruning.prune()["output"] == 1


def test_sessions_and_enrolment_tokens_that_are_over_go(admin: User) -> None:
    now = timezone.now()
    for days, key in ((-1, "over"), (1, "good")):
        Session.objects.create(session_key=key, expire_date=now + timedelta(days=days))
    for number in range(2):
        EnrollmentToken.objects.create(
            name=str(number),
            token_sha256=str(number),
            expires_at=now - timedelta(days=29.9 + number),
        )
    pruned = pruning.prune()
    assert (pruned["sessions"], pruned["enrollment_tokens"]) == (1, 1)
    assert Session.objects.get().session_key == "good"
    assert EnrollmentToken.objects.get().name == "0"


def test_what_a_task_counts_stays_true(admin: User, web_device: Device) -> None:
    task = factories.by_hand(admin, devices=[web_device])
    execution = schedules.execute(task, admin)
    Execution.objects.filter(pk=execution.pk).move(
        "cancelled", completed_at=timezone.now() - timedelta(days=401)
    )
    task.refresh_from_db()
    before = (task.execution_count, task.last_run_time, task.last_execution_status)
    assert pruning.prune()["executions"] == 1
    task.refresh_from_db()
    assert (task.execution_count, task.last_run_time, task.last_execution_status) == before
    assert task.execution_count == 1


@pytest.mark.parametrize(
    ("name", "index"), [("output", "run_output_ended"), ("executions", "execution_by_end")]
)
def test_each_batch_is_found_by_an_index_whatever_the_history(
    admin: User, name: str, index: str
) -> None:
    (kind,) = [one for one in pruning.kinds(timezone.now()) if name in one.past]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        query, parameters = kind.past[name][:100].query.sql_with_params()
        cursor.execute(f"EXPLAIN {query}", parameters)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert f"Index Scan using {index}" in plan
    assert "Sort" not in plan


@pytest.mark.django_db(transaction=True)
def test_one_process_prunes_at_a_time(admin: User) -> None:
    with own_connection().cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [pruning.LOCK])
        assert pruning.prune() == {}
        cursor.execute("SELECT pg_advisory_unlock(%s)", [pruning.LOCK])
        assert pruning.prune()["output"] == 0
        cursor.connection.close()


def test_the_command_says_what_it_does(run: DeviceRun, capsys: pytest.CaptureFixture[str]) -> None:
    age(run, 31)
    call_command("prune", "--dry-run")
    assert OutputChunk.objects.exists()
    call_command("prune")
    assert not OutputChunk.objects.exists()
    said = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines()]
    assert [number for name, number in lines if name == "output"] == ["1", "1"]


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


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_what_was_rolled_back_goes_with_its_rollback(
    admin: User, web_device: Device, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(pruning, "BATCH", batch)
    execution = factories.execution(factories.task(admin), status="failed")
    undone = factories.run(execution, web_device, status="failed")
    DeviceRun.objects.bulk_create([undone.another(rolls_back=undone)])
    Execution.objects.update(completed_at=timezone.now() - timedelta(days=401))
    done = pruning.prune()
    assert (done["executions"], done["runs"]) == (1, 2)
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


def test_celerys_records_are_kept_for_as_long_as_is_set(db: None, settings: Any) -> None:
    settings.DEPLOYX_KEEP_RESULTS_DAYS = 30
    TaskResult.objects.create(task_id="of another app")
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=29))
    app_or_default().backend.cleanup()
    assert pruning.prune()["results"] == 0
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=31))
    assert pruning.prune()["results"] == 1
