"""Keeps the history within its limits, in batches small enough to disturb nobody.

Each batch is a transaction of its own, found by an index, oldest first: whoever is interrupted has
lost nothing, and the next one goes on from there. What has not ended is never touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django_celery_results.models import GroupResult, TaskResult

from accounts.models import IdempotencyKey
from devices.models import EnrollmentToken
from scheduling import clock
from scheduling.beat import mirror
from scheduling.catalogue import files, uploads
from scheduling.models import (
    Alarm,
    DeviceRun,
    Execution,
    ExecutionBlob,
    OutputChunk,
    OutputGap,
    ScheduledTask,
    ServiceHeartbeat,
    TaskChange,
)

log = structlog.get_logger(__name__)
BATCH = 500
# A run has up to 10 MiB of output: few at once, so that no transaction is long.
RUNS_AT_ONCE = 50
EXECUTIONS_AT_ONCE = 100
LONGEST_PAUSE_SECONDS = 0.5
# Any number, the same in an installation: one process prunes at a time.
LOCK = 0x6465706C6F7901
Numbers = dict[str, int]
Progress = Callable[[Numbers], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is kept for a while: by name the rows that are past it, and how some of them go. `take`
    answers how many it took of each; nothing where none is left."""

    past: dict[str, QuerySet[Any]]
    take: Callable[[], Numbers]


def kinds(now: datetime) -> list[Kind]:
    """In this order: a run goes after its output, an execution after its runs."""
    output_before = _before(now, settings.DEPLOYX_KEEP_OUTPUT_DAYS)
    history_before = _before(now, settings.DEPLOYX_KEEP_HISTORY_DAYS)
    results_before = _before(now, settings.DEPLOYX_KEEP_RESULTS_DAYS)
    keys_before = _before(now, settings.DEPLOYX_KEEP_IDEMPOTENCY_KEYS_DAYS)
    tokens_before = _before(now, settings.DEPLOYX_KEEP_ENROLLMENT_TOKENS_DAYS)
    ended = Execution.objects.filter(completed_at__lt=history_before).order_by("completed_at")
    ad_hoc = ScheduledTask.objects.filter(ad_hoc=True, created_at__lt=history_before)
    return [
        _output(max(output_before, history_before)),
        _executions(ended),
        _ad_hoc_tasks(ad_hoc.filter(executions=None).order_by("pk")),
        _plain("results", TaskResult.objects.filter(date_done__lt=results_before)),
        _plain("group_results", GroupResult.objects.filter(date_done__lt=results_before)),
        _plain("idempotency_keys", IdempotencyKey.objects.filter(created_at__lt=keys_before)),
        _plain("sessions", Session.objects.filter(expire_date__lt=now)),
        _plain("enrollment_tokens", EnrollmentToken.objects.filter(expires_at__lt=tokens_before)),
        _plain("task_changes", TaskChange.objects.filter(created_at__lt=history_before)),
        _plain("alarms", Alarm.objects.filter(last_seen_at__lt=history_before)),
        _plain(
            "held_files", ExecutionBlob.objects.filter(execution__completed_at__lt=output_before)
        ),
        _counted("uploads", uploads.abandoned(now), partial(uploads.forget, now)),
        _counted("stored_bytes", files.idle(now), partial(files.collect, now)),
        _plain("heartbeats", ServiceHeartbeat.objects.filter(seen_at__lt=_before(now, 1))),
    ]


def prune(
    progress: Progress = lambda numbers: None, *, most_seconds: float = float("inf")
) -> Numbers:
    """Deletes what is past its time, for so long at most; answers how many rows of each kind (of
    output, runs). Nothing where another process is at it."""
    with _alone() as is_alone:
        if not is_alone:
            log.info("prune_under_way_elsewhere")
            return {}
        until = time.monotonic() + most_seconds
        numbers: Numbers = {}
        for kind in kinds(clock.now()):
            numbers |= dict.fromkeys(kind.past, 0)
            for taken in _batches(kind, until):
                numbers |= {name: numbers[name] + number for name, number in taken.items()}
                progress(numbers)
        return numbers


def count() -> Numbers:
    """How many rows `prune` would delete now."""
    return {
        name: past.order_by().count()
        for kind in kinds(clock.now())
        for name, past in kind.past.items()
    }


def _batches(kind: Kind, until: float) -> Iterator[Numbers]:
    while (began := time.monotonic()) < until and (taken := kind.take()):
        yield taken
        # As long again for everybody else.
        time.sleep(min(LONGEST_PAUSE_SECONDS, time.monotonic() - began))


@contextmanager
def _alone() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (is_alone,) = cursor.fetchone()
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _before(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)


def _counted(name: str, past: QuerySet[Any], forget: Callable[[], int]) -> Kind:
    """What has a way of its own to go; `forget` says how many went."""

    def take() -> Numbers:
        number = forget()
        return {name: number} if number else {}

    return Kind({name: past}, take)


def _plain(name: str, past: QuerySet[Any]) -> Kind:
    def take() -> Numbers:
        ids = list(past.order_by("pk").values_list("pk", flat=True)[:BATCH])
        past.model._default_manager.filter(pk__in=ids).delete()
        return {name: len(ids)} if ids else {}

    return Kind({name: past}, take)


def _output(before: datetime) -> Kind:
    """Of each run, the output becomes one gap that says how much it was."""
    some = Q(output_form__in=DeviceRun.OutputForm.values, finished_at__lt=before)
    written = DeviceRun.objects.filter(some).order_by("finished_at")

    @transaction.atomic
    def take() -> Numbers:
        # Whom somebody holds is left to the next time: a lost run's device may be telling of it.
        locked = written.select_for_update(no_key=True, skip_locked=True)
        runs = list(locked.only("pk", "output_next")[:RUNS_AT_ONCE])
        OutputChunk.objects.filter(run__in=runs).delete()
        OutputGap.objects.filter(run__in=runs).delete()
        OutputGap.objects.bulk_create(
            OutputGap(run=run, offset=0, bytes=run.output_next) for run in runs
        )
        DeviceRun.objects.filter(pk__in=[run.pk for run in runs]).update(
            output_kept=0, output_form="", output_truncated=True
        )
        return {"output": len(runs)} if runs else {}

    return Kind({"output": written}, take)


def _executions(ended: QuerySet[Execution]) -> Kind:
    """With their runs, of which one may have 10,000: those go first."""

    @transaction.atomic
    def take() -> Numbers:
        ids = list(ended.values_list("pk", flat=True)[:EXECUTIONS_AT_ONCE])
        runs = DeviceRun.objects.filter(execution__in=ids).values_list("pk", flat=True)[:BATCH]
        run_ids = list(runs)
        _rows, by_model = DeviceRun.objects.filter(pk__in=run_ids).delete()
        gone = by_model.get(DeviceRun._meta.label, 0)  # a rollback goes with what it undid
        if len(run_ids) == BATCH:
            return {"executions": 0, "runs": gone}
        Execution.objects.filter(pk__in=ids).delete()
        return {"executions": len(ids), "runs": gone} if ids else {}

    return Kind({"executions": ended, "runs": DeviceRun.objects.filter(execution__in=ended)}, take)


def _ad_hoc_tasks(past: QuerySet[ScheduledTask]) -> Kind:
    """What "Execute now" made goes with the execution it was made for."""

    @transaction.atomic
    def take() -> Numbers:
        tasks = list(past.select_related("periodic_task")[:BATCH])
        for task in tasks:
            mirrored = task.periodic_task
            task.delete()
            mirror.remove(mirrored)
        return {"ad_hoc_tasks": len(tasks)} if tasks else {}

    return Kind({"ad_hoc_tasks": past}, take)
