"""The history of executions, narrowed down by what its address says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.uuid7 import earliest
from devices.models import DeviceGroup
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(operator: User, web_group: DeviceGroup) -> ScheduledTask:
    return factories.task(operator, groups=[web_group], name="Other work")


def found(client: Client, **query: str) -> set[Execution]:
    return set(client.get("/executions/", query).context["history"].rows)


def said(client: Client, **query: str) -> str:
    return client.get("/executions/", query).content.decode()


def test_by_task_named_wholly_in_part_or_by_its_id(
    as_operator: Client, task: ScheduledTask, other: ScheduledTask
) -> None:
    execution = factories.execution(task)
    factories.execution(other)
    for words in (task.name, "sk spa", str(task.pk)):
        assert found(as_operator, task=words) == {execution}


def test_by_the_name_of_a_task_that_was_deleted(
    as_operator: Client, as_outsider: Client, task: ScheduledTask, other: ScheduledTask
) -> None:
    execution = factories.execution(other)
    factories.execution(task)
    other.delete()
    assert found(as_operator, task="Other work") == {execution}
    assert found(as_operator, task="Other work", status="running") == {execution}
    assert found(as_operator, task="Other work", status="success") == set()
    assert "There is no task" in said(as_outsider, task="Other work")


def test_a_name_that_several_tasks_have_is_asked_back(
    as_operator: Client, task: ScheduledTask, other: ScheduledTask
) -> None:
    page = said(as_operator, task="k")
    assert "Several tasks are meant" in page
    assert "“Other work”" in page
    assert 'value="k"' in page


def test_what_nobody_may_know_of_is_not_there(
    as_outsider: Client, task: ScheduledTask, outsider: User
) -> None:
    assert "There is no task" in said(as_outsider, task=str(task.pk))


def test_by_whom_or_for_whom_it_was_opened(
    as_admin: Client, task: ScheduledTask, admin: User
) -> None:
    theirs = factories.execution(task, user=admin)
    scheduled = factories.execution(task, trigger="schedule", opened_by="beat")
    assert found(as_admin, who="admin") == {theirs}
    assert found(as_admin, who="operator") == {scheduled}
    assert "Opened by or for" in said(as_admin)
    assert "There is no account “nobody”." in said(as_admin, who="nobody")


def test_by_day(as_operator: Client, task: ScheduledTask) -> None:
    made = {}
    for day in (1, 2, 3):
        moment = datetime(2026, 3, day, 23, 59, 59, tzinfo=UTC)
        made[day] = factories.execution(task, id=earliest(moment), created_at=moment)
    assert found(as_operator, since="2026-03-02") == {made[2], made[3]}
    assert found(as_operator, until="2026-03-02") == {made[1], made[2]}
    assert found(as_operator, since="2026-03-02", until="2026-03-02") == {made[2]}


def test_by_states_that_are_looked_for_together(as_operator: Client, task: ScheduledTask) -> None:
    made = {status: factories.execution(task, status=status) for status in Execution.Status.values}
    unended = {made["pending"], made["running"]}
    assert found(as_operator, status="unended") == unended
    assert found(as_operator, status="wrong") == {
        made["failed"],
        made["partial"],
        made["missed"],
    }
    assert '<option value="wrong" selected>' in said(as_operator, status="wrong")


def test_by_when_it_ended_whenever_it_was_opened(as_operator: Client, task: ScheduledTask) -> None:
    now = timezone.now()
    ages = {"yesterday": 20, "before": 30, "long ago": 9 * 24}
    made = {}
    for name, hours in ages.items():
        opened = now - timedelta(days=40, hours=hours)
        made[name] = factories.execution(
            task,
            id=earliest(opened),
            status="missed",
            created_at=opened,
            completed_at=now - timedelta(hours=hours),
        )
    factories.execution(task)
    assert found(as_operator, ended="24h") == {made["yesterday"]}
    assert found(as_operator, ended="7d", status="wrong") == {made["yesterday"], made["before"]}
    assert found(as_operator, ended="24h", status="failed") == set()


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"until": "2026-02-30"},
        {"status": "sideways"},
        {"ended": "soon"},
        {"task": "\0"},
        {"who": "x" * 151},
    ],
)
def test_what_cannot_be_meant_is_named_and_finds_nothing(
    as_operator: Client, task: ScheduledTask, query: dict[str, str]
) -> None:
    factories.execution(task)
    answer = as_operator.get("/executions/", query)
    assert list(answer.context["form"].errors) == list(query)
    assert answer.context["history"].rows == []
    assert 'role="alert"' in answer.content.decode()


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_ends_of_the_calendar_are_days_too(
    as_operator: Client, task: ScheduledTask, day: str
) -> None:
    factories.execution(task)
    assert len(found(as_operator, since=day)) == (day < "2000")
    assert len(found(as_operator, until=day)) == (day > "2000")


def test_no_page_of_it_asks_more_because_there_is_more(
    as_operator: Client, task: ScheduledTask
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            found(as_operator, task=task.name, status="running", since="2026-01-01", ended="7d")
        return len(captured)

    factories.execution(task)
    before = queries()
    for _ in range(5):
        factories.execution(task)
    assert queries() == before <= 12
