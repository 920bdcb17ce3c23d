"""Lists: what they can be narrowed down by, how they are paged, and what a page costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.api import pagination
from devices.models import Device, DeviceGroup
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.api.conftest import EXECUTIONS, TASKS, address

Make = Callable[..., ScheduledTask]


@pytest.fixture
def make(operator: User, web_group: DeviceGroup) -> Make:
    def task(**changes: Any) -> ScheduledTask:
        return factories.task(operator, **{"groups": [web_group], **changes})

    return task


def names(client: APIClient, query: str) -> list[str]:
    return [one["name"] for one in client.get(f"{TASKS}?{query}").json()["results"]]


def test_tasks_by_status_type_and_recurrence(api: APIClient, make: Make) -> None:
    make(name="daily")
    hourly = make(
        name="hourly",
        recurrence_type="interval",
        recurrence_config={"every": 1, "unit": "hours"},
    )
    api.post(address(hourly, "pause"))
    assert names(api, "status=paused") == ["hourly"]
    assert names(api, "status=pending") == ["daily"]
    assert names(api, "recurrence_type=daily") == ["daily"]
    assert names(api, "task_type=command&status=running") == []


def test_a_rare_trigger_is_not_looked_for_through_the_whole_history(make: Make) -> None:
    one = factories.execution(make(), status="skipped")
    names = [each.attname for each in one._meta.concrete_fields if not each.primary_key]
    same = {name: getattr(one, name) for name in names}
    Execution.objects.bulk_create(Execution(**same) for _number in range(2_000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scheduled_task_executions")
    plan = Execution.objects.filter(trigger="retry").order_by("-id")[:50].explain()
    assert "execution_by_trigger" in plan


def test_tasks_by_device_are_those_that_reach_it_by_whatever_way(
    api: APIClient, make: Make, web_device: Device, web_group: DeviceGroup, operator: User
) -> None:
    factories.group(devices=[factories.device("db-1")], people=[operator])
    other = Device.objects.get(name="db-1")
    make(name="by group")
    make(name="by name", groups=[], devices=[web_device])
    make(name="elsewhere", groups=[], devices=[other])
    assert set(names(api, f"device={web_device.pk}")) == {"by group", "by name"}
    assert names(api, f"group={web_group.pk}") == ["by group"]


def test_tasks_by_tag_and_by_a_part_of_the_name(api: APIClient, make: Make) -> None:
    make(name="Disk space", tags=["nightly", "linux"])
    make(name="Reboot", tags=["night"])
    assert names(api, "tag=night") == ["Reboot"]
    assert names(api, "search=SPACE") == ["Disk space"]
    assert names(api, "search=%25") == []


def test_tasks_in_the_order_asked_for(api: APIClient, make: Make) -> None:
    for name in ("b", "a", "c"):
        make(name=name)
    assert names(api, "ordering=name") == ["a", "b", "c"]
    assert names(api, "ordering=-name") == ["c", "b", "a"]
    assert names(api, "ordering=-created_at") == names(api, "") == ["c", "a", "b"]


def test_ad_hoc_tasks_are_listed_and_counted_only_when_asked_for(
    api: APIClient, make: Make, web_group: DeviceGroup
) -> None:
    make(name="kept")
    api.post(EXECUTIONS, factories.definition(groups=[web_group], name="once"))
    assert names(api, "") == names(api, "ad_hoc=false") == ["kept"]
    assert set(names(api, "ad_hoc=true")) == {"kept", "once"}
    assert api.get("/api/schedule/stats").json()["total"] == 1
    assert api.get("/api/schedule/stats?ad_hoc=true").json()["total"] == 2


def test_pages_say_where_the_others_are(api: APIClient, make: Make) -> None:
    for number in range(5):
        make(name=f"task {number}")
    first = api.get(f"{TASKS}?page_size=2&ordering=name").json()
    assert (first["count"], first["previous"]) == (5, None)
    assert "count_capped" not in first
    second = api.get(first["next"]).json()
    assert [one["name"] for one in second["results"]] == ["task 2", "task 3"]
    assert api.get(second["previous"]).json() == first
    last = api.get(second["next"]).json()
    assert (len(last["results"]), last["next"]) == (1, None)
    assert api.get(f"{TASKS}?page=4&page_size=2").status_code == 404


def test_a_count_over_the_limit_is_capped_and_the_pages_go_on(
    api: APIClient, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "COUNT_LIMIT", 2)
    for _ in range(5):
        make()
    page = api.get(f"{TASKS}?page_size=2&page=2").json()
    assert (page["count"], page["count_capped"]) == (2, True)
    assert page["next"] is not None


def test_history_is_walked_by_cursor_while_it_grows(api: APIClient, task: ScheduledTask) -> None:
    made = [str(factories.execution(task, status="success").pk) for _ in range(7)]
    page = api.get(f"{EXECUTIONS}?page_size=3").json()
    assert set(page) == {"count", "next", "previous", "results"}
    assert (page["count"], page["previous"]) == (7, None)
    seen = page["results"]
    while page["next"]:
        factories.execution(task, status="success")
        page = api.get(page["next"]).json()
        seen += page["results"]
    assert [one["id"] for one in seen] == made[::-1]
    assert page["previous"] is not None


@pytest.mark.parametrize("cursor", ["x", "cD1ub25l", "cD0lMDA="])
def test_a_cursor_nobody_gave_out_is_a_404(
    api: APIClient, task: ScheduledTask, cursor: str
) -> None:
    factories.execution(task)
    assert api.get(f"{EXECUTIONS}?cursor={cursor}").status_code == 404


def test_executions_by_task_device_status_and_trigger(
    api: APIClient, make: Make, web_device: Device
) -> None:
    one, other = make(), make()
    failed = factories.execution(one, status="failed")
    factories.run(failed, web_device, status="failed")
    running = factories.execution(other, trigger="retry")

    def found(query: str) -> list[str]:
        return [row["id"] for row in api.get(f"{EXECUTIONS}?{query}").json()["results"]]

    assert found(f"task={one.pk}") == [str(failed.pk)]
    assert found(f"device={web_device.pk}") == [str(failed.pk)]
    assert found("status=running") == [str(running.pk)]
    assert found("trigger=retry") == [str(running.pk)]
    assert found("") == [str(running.pk), str(failed.pk)]


def test_executions_from_an_instant_up_to_another(api: APIClient, task: ScheduledTask) -> None:
    noon = datetime.now(UTC).replace(microsecond=0)
    made = [
        factories.execution(task, status="success", created_at=noon + timedelta(minutes=minutes))
        for minutes in (-10, 0, 10)
    ]

    def found(query: str) -> set[str]:
        return {row["id"] for row in api.get(f"{EXECUTIONS}?{query}").json()["results"]}

    at = f"{noon:%Y-%m-%dT%H:%M:%S}Z"
    assert found(f"from={at}") == {str(made[1].pk), str(made[2].pk)}
    assert found(f"to={at}") == {str(made[0].pk)}
    assert found(f"from={at}&to={at}") == set()
    assert found("from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z") == {
        str(one.pk) for one in made
    }


def test_runs_by_status_and_by_a_part_of_the_devices_name(
    api: APIClient, execution: Execution
) -> None:
    for name, status in (("web-7", "running"), ("web-8", "failed"), ("db-8", "running")):
        factories.run(execution, factories.device(name), status=status)

    def found(query: str) -> set[str]:
        page = api.get(address(execution, f"runs?{query}")).json()
        return {row["device_name"] for row in page["results"]}

    assert found("status=running") == {"web-7", "db-8"}
    assert found("search=-8") == {"web-8", "db-8"}
    assert found("status=failed&search=db") == set()


def queries_of(client: APIClient, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_a_page_costs_the_same_queries_however_many_rows_it_has(
    api: APIClient, make: Make, task: ScheduledTask, execution: Execution
) -> None:
    lists = [TASKS, EXECUTIONS, address(task, "executions"), address(execution, "runs")]
    api.get(TASKS)  # the token's use is noted once a minute
    factories.run(execution, status="queued")
    before = [queries_of(api, path) for path in lists]
    for number in range(4):
        dependent = make(depends_on=[{"task_id": str(task.pk), "on": "success"}])
        factories.run(factories.execution(dependent), status="running")
        factories.execution(task, status="success")
        factories.run(execution, factories.device(f"other-{number}"), status="queued")
    assert [queries_of(api, path) for path in lists] == before
    assert DeviceRun.objects.filter(execution=execution).count() == 5
