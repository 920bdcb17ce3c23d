"""Both state machines, as the database holds them: every pair of states, by plain UPDATE."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from devices.models import Device
from scheduling.models import DeviceRun, Execution
from scheduling.models import device_run as runs
from scheduling.models import execution as executions
from scheduling.tests import factories


def refused(change: Any) -> str:
    """The words in which the database refuses a change, or nothing."""
    try:
        with transaction.atomic():
            change()
    except DatabaseError as error:
        return str(error)
    return ""


def run_columns(target: str) -> dict[str, Any]:
    """What the table's other constraints ask of a run in this state."""
    ended = target not in DeviceRun.UNENDED
    never = target in ("rejected", "expired", "skipped")
    return {
        "finished_at": timezone.now() if ended else None,
        "terms": b"terms",
        "signature": b"signature",
        **({"started_at": None} if never else {}),
    }


@pytest.mark.parametrize("in_recovery", [False, True], ids=["out of recovery", "in recovery"])
@pytest.mark.parametrize("source", DeviceRun.Status.values)
def test_a_run_goes_where_the_table_says_and_nowhere_else(
    admin: User, source: str, in_recovery: bool
) -> None:
    run = factories.run(factories.execution(factories.task(admin)), status=source)
    assert run.device is not None
    Device.objects.filter(pk=run.device.pk).update(in_recovery=in_recovery)
    row = DeviceRun.objects.filter(pk=run.pk)
    allowed = runs.TRANSITIONS[source]
    if in_recovery:
        allowed |= runs.IN_RECOVERY.get(source, frozenset())
    for target in set(DeviceRun.Status.values) - {source}:
        saved = transaction.savepoint()
        said = refused(lambda: row.update(status=target, **run_columns(target)))  # noqa: B023
        transaction.savepoint_rollback(saved)
        if target in allowed:
            assert said == "", target
        else:
            assert f"may not go from {source} to {target}" in said


@pytest.mark.parametrize("source", Execution.Status.values)
def test_an_execution_goes_where_the_table_says_and_nowhere_else(admin: User, source: str) -> None:
    execution = factories.execution(factories.task(admin), status=source)
    row = Execution.objects.filter(pk=execution.pk)
    for target in set(Execution.Status.values) - {source}:
        completed = timezone.now() if target in Execution.ENDED else None
        saved = transaction.savepoint()
        said = refused(lambda: row.update(status=target, completed_at=completed))  # noqa: B023
        transaction.savepoint_rollback(saved)
        if target in executions.TRANSITIONS[source]:
            assert said == "", target
        else:
            assert f"may not go from {source} to {target}" in said


@pytest.mark.parametrize("status", DeviceRun.Status.values)
def test_a_run_is_born_pending(admin: User, web_device: Device, status: str) -> None:
    execution = factories.execution(factories.task(admin))
    said = refused(
        lambda: DeviceRun.objects.create(
            execution=execution, device=web_device, status=status, **run_columns(status)
        )
    )
    assert said == "" if status == "pending" else f"may not begin as {status}" in said


@pytest.mark.parametrize("status", Execution.Status.values)
def test_an_execution_is_born_open_or_as_one_that_never_ran(admin: User, status: str) -> None:
    task = factories.task(admin)
    said = refused(
        lambda: Execution.objects.create(
            task=task,
            user=admin,
            owner=admin,
            created_at=timezone.now(),
            status=status,
            completed_at=timezone.now() if status in Execution.ENDED else None,
        )
    )
    assert said == "" if status in executions.BIRTHS else f"may not begin as {status}" in said


@pytest.mark.parametrize("source", ["pending", "queued"])
def test_only_in_recovery_a_run_starts_from_before_its_claim(admin: User, source: str) -> None:
    run = factories.run(factories.execution(factories.task(admin)), status=source)
    row = DeviceRun.objects.filter(pk=run.pk)
    start = lambda: row.update(status="running", **run_columns("running"))  # noqa: E731
    assert "may not go from" in refused(start)
    assert run.device is not None
    Device.objects.filter(pk=run.device.pk).update(in_recovery=True)
    assert refused(start) == ""


def test_the_mark_that_counts_is_the_runs_own_devices(admin: User) -> None:
    run = factories.run(factories.execution(factories.task(admin)))
    factories.device(in_recovery=True)
    row = DeviceRun.objects.filter(pk=run.pk)
    assert "may not go from" in refused(
        lambda: row.update(status="running", **run_columns("running"))
    )


def test_only_what_was_never_released_here_runs_unsigned(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    pending, queued = (factories.run(execution, status=name) for name in ("pending", "queued"))
    Device.objects.update(in_recovery=True)
    rows = [DeviceRun.objects.filter(pk=run.pk) for run in (pending, queued)]
    assert refused(lambda: rows[0].update(status="running")) == ""
    said = refused(lambda: rows[1].update(status="running", terms=None))
    assert "released_run_is_signed" in said


def test_what_is_released_is_signed(admin: User) -> None:
    run = factories.run(factories.execution(factories.task(admin)))
    row = DeviceRun.objects.filter(pk=run.pk)
    assert "released_run_is_signed" in refused(lambda: row.update(status="queued"))


def test_what_has_ended_says_when_and_only_that(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    run = factories.run(execution)
    rows = (DeviceRun.objects.filter(pk=run.pk), Execution.objects.filter(pk=execution.pk))
    assert "ended_run_has_its_end" in refused(lambda: rows[0].update(status="skipped"))
    assert "ended_run_has_its_end" in refused(lambda: rows[0].update(finished_at=timezone.now()))
    assert "ended_execution_has_its_end" in refused(lambda: rows[1].update(status="success"))


@pytest.mark.parametrize("target", ["rejected", "expired", "skipped"])
def test_what_never_ran_has_no_start(admin: User, target: str) -> None:
    run = factories.run(factories.execution(factories.task(admin)), status="claimed")
    DeviceRun.objects.filter(pk=run.pk).update(started_at=timezone.now())
    row = DeviceRun.objects.filter(pk=run.pk)
    said = refused(lambda: row.update(status=target, finished_at=timezone.now()))
    assert "run_that_did_not_run_never_started" in said


def test_an_occurrence_opens_once(admin: User) -> None:
    task = factories.task(admin)
    moment = timezone.now()
    factories.execution(task, status="missed", scheduled_for=moment)
    with pytest.raises(IntegrityError, match="one_execution_per_occurrence"):
        factories.execution(task, scheduled_for=moment)


def test_a_parents_end_opens_a_dependent_once(admin: User) -> None:
    parent, child = factories.task(admin), factories.task(admin)
    cause = factories.execution(parent, status="success")
    factories.execution(child, trigger="dependency", caused_by=cause)
    with pytest.raises(IntegrityError, match="one_execution_per_cause"):
        factories.execution(child, trigger="dependency", caused_by=cause)


def test_moving_is_guarded_and_says_how_many_moved(admin: User) -> None:
    execution = factories.execution(factories.task(admin))
    factories.run(execution, status="queued")
    factories.run(execution, status="succeeded")
    moved = execution.runs.move("expired", finished_at=timezone.now())
    assert moved == 1
    assert sorted(execution.runs.values_list("status", flat=True)) == ["expired", "succeeded"]


def test_a_paused_task_has_no_plan(admin: User) -> None:
    task = factories.task(admin)
    row = type(task).objects.filter(pk=task.pk)
    assert "paused_task_has_no_plan" in refused(lambda: row.update(is_paused=True))
    assert "planned_task_has_both_times" in refused(lambda: row.update(next_run_time=None))
    later, sooner = timezone.now() + timedelta(days=2), timezone.now() + timedelta(days=1)
    said = refused(lambda: row.update(start_at=later, end_at=sooner))
    assert "task_ends_after_it_starts" in said
