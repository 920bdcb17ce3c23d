"""Beat's queries look at what is due, however many tasks there are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from scheduling.beat import scheduler
from scheduling.models import ScheduledTask
from scheduling.tests import factories

TASKS, DUE = 10_000, 30


@pytest.fixture
def many(db: None) -> None:
    admin: User = factories.person("admin", is_administrator=True)
    now = timezone.now()
    moments = [now + timedelta(days=1, seconds=number) for number in range(TASKS)]
    moments[:DUE] = [now - timedelta(seconds=5)] * DUE
    ScheduledTask.objects.bulk_create(
        ScheduledTask(
            user=admin, name=str(number), task_type="command", task_payload={},
            recurrence_type="daily", recurrence_config={"time": "02:00"},
            next_run_time=moment, next_scheduled_for=moment,
        )
        for number, moment in enumerate(moments)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scheduled_tasks")


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


def explain(sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        ((found,),) = cursor.fetchall()
    return list(steps(found[0]["Plan"]))


def test_what_is_due_and_when_the_next_is_are_found_by_the_index(many: None) -> None:
    asked = [(scheduler._RESERVE, [scheduler.BATCH]), (scheduler._SECONDS_LEFT, [])]
    for sql, parameters in asked:
        plan = explain(sql, parameters)
        assert "task_due" in {step.get("Index Name") for step in plan}
        assert "Seq Scan" not in {step["Node Type"] for step in plan}
        read = sum(step["Actual Rows"] + step.get("Rows Removed by Filter", 0) for step in plan)
        assert read <= 10 * DUE
