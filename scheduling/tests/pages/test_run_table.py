"""The devices of an execution as a table: sorted, counted once, and one click from a retry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def mixed(task: ScheduledTask) -> Execution:
    """a took 3 s, b 1 s and failed, c runs, d was lost."""
    execution = factories.execution(task)
    for name, status, seconds in (
        ("b", "failed", 1),
        ("a", "succeeded", 3),
        ("d", "lost", 2),
    ):
        run = factories.run(execution, factories.device(name), status=status)
        end = {"finished_at": run.started_at + timedelta(seconds=seconds)} if run.started_at else {}
        DeviceRun.objects.filter(pk=run.pk).update(output_next=seconds, exit_code=seconds, **end)
    factories.run(execution, factories.device("c"), status="running")
    return execution


def names(client: Client, execution: Execution, **query: str) -> str:
    answer = client.get(execution.get_absolute_url(), query)
    return "".join(run.device_name for run in answer.context["page"].object_list)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", "abcd"),
        ("device", "abcd"),
        ("-device", "dcba"),
        ("took", "bdac"),
        ("-took", "adbc"),
        ("exit", "bdac"),
        ("-output", "adbc"),
        ("-state", "acdb"),
        ("terms", "abcd"),
        ("device_name; DROP", "abcd"),
    ],
)
def test_the_address_sorts(as_operator: Client, mixed: Execution, sort: str, expected: str) -> None:
    assert names(as_operator, mixed, sort=sort) == expected


def test_a_heading_says_how_it_sorts_and_turns_it_round(
    as_operator: Client, mixed: Execution
) -> None:
    page = as_operator.get(mixed.get_absolute_url(), {"sort": "took"}).content.decode()
    assert 'aria-sort="ascending"><a class="sort" href="?sort=-took"' in page
    page = as_operator.get(mixed.get_absolute_url(), {"sort": "-took"}).content.decode()
    assert 'aria-sort="descending"><a class="sort" href="?sort=took"' in page


def test_the_lost_are_counted_by_themselves(as_operator: Client, mixed: Execution) -> None:
    page = as_operator.get(mixed.get_absolute_url())
    counts = {one.name: one.count for one in page.context["headlines"]}
    assert (counts["failed"], counts["lost"]) == (1, 1)
    assert names(as_operator, mixed, show="lost") == "d"
    assert names(as_operator, mixed, show="failed") == "b"


@pytest.mark.parametrize("show", ["", "succeeded", "failed", "lost", "running", "offline"])
def test_the_pages_are_counted_as_the_rows_are(
    as_operator: Client, mixed: Execution, show: str
) -> None:
    factories.run(mixed, factories.device("e", online=False), status="queued")
    answer = as_operator.get(mixed.get_absolute_url(), {"show": show})
    page = answer.context["page"]
    assert page.paginator.count == len(page.object_list) > 0


def test_what_failed_runs_again_by_one_click(
    as_operator: Client, task: ScheduledTask, web_device: Any, sent: list[Any], signer: str
) -> None:
    execution = factories.execution(task)
    failed = factories.run(execution, web_device, status="timed_out")
    for status in ("lost", "skipped", "succeeded"):
        factories.run(execution, status=status)
    Execution.objects.filter(pk=execution.pk).move("partial", completed_at=execution.created_at)
    page = as_operator.get(execution.get_absolute_url())
    assert "Retry 1 failed device" in page.content.decode()
    as_operator.post(
        f"/executions/{execution.pk}/retry", {"statuses": page.context["failed_statuses"]}
    )
    again = Execution.objects.get(trigger="retry")
    assert [run.device_id for run in again.runs.all()] == [failed.device_id]


def test_a_chosen_run_shows_though_it_is_on_another_page(
    as_operator: Client, mixed: Execution
) -> None:
    run = mixed.runs.get(device_name="b")
    answer = as_operator.get(mixed.get_absolute_url(), {"show": "lost", "run": str(run.pk)})
    assert answer.context["run"] == run
