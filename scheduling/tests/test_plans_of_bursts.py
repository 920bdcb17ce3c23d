"""A burst costs what its own rows cost, whatever the planner's statistics still say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F

from devices.ledger_port import Session
from scheduling import cancelling, ledger, release
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories

NUMBER = 150
ROWS_A_RUN = 20
"""Read of the table for one run; going through all for each would be 150 and more."""


@pytest.fixture
def execution(admin: User) -> Execution:
    """With a queued run on each of so many devices; the statistics know of ended ones only."""
    task = factories.task(admin)
    opened = factories.execution(task, open_wave=1)
    devices = [factories.device() for _ in range(NUMBER)]
    for one in devices:
        factories.run(factories.execution(task), one, status="succeeded")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for one in devices:
        factories.run(opened, one, status="queued", has_slot=True)
    return opened


def rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE relname = 'scheduled_task_device_runs'"
        )
        (number,) = cursor.fetchone() or (0,)
    return int(number)


def sessions(execution: Execution) -> list[Session]:
    rows = execution.runs.annotate(session=F("device__session")).values_list("device", "session")
    return [Session(device, session) for device, session in rows]


def claim(execution: Execution) -> object:
    return ledger.claim(sessions(execution))


def start(execution: Execution) -> object:
    claim(execution)
    runs = execution.runs.values_list("device", "claim_session", "pk")
    return ledger.start(
        [(Session(device, session), pk) for device, session, pk in runs if device and session]
    )


def end(execution: Execution) -> object:
    start(execution)
    return ledger.results([factories.result_of(run) for run in execution.runs.all()])


def cancel(execution: Execution) -> object:
    start(execution)
    return cancelling.cancel(execution, execution.user)


STEPS: list[Callable[[Execution], object]] = [release.take_back_slots, claim, start, end, cancel]


def test_a_burst_reads_a_few_rows_for_each_run(execution: Execution) -> None:
    read = {}
    for step in STEPS:
        with transaction.atomic():
            before = rows_read()
            step(execution)
            read[step] = rows_read() - before
            assert DeviceRun.objects.filter(execution=execution).count() == NUMBER
            transaction.set_rollback(True)
    assert {step: rows for step, rows in read.items() if rows >= ROWS_A_RUN * NUMBER} == {}
