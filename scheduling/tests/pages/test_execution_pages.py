from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from devices.models import Device
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def mixed(task: ScheduledTask) -> Execution:
    """One run of each: succeeded, failed, running, and one waiting for a device that is away."""
    execution = factories.execution(task)
    for number, status in enumerate(["succeeded", "failed", "running"]):
        factories.run(execution, factories.device(f"host-{number}"), status=status)
    factories.run(execution, factories.device("host-away", online=False), status="queued")
    return execution


def names(client: Client, execution: Execution, query: str = "") -> list[str]:
    answer = client.get(execution.get_absolute_url() + query)
    return [run.device_name for run in answer.context["page"].object_list]


def test_the_history_is_empty_at_first_and_says_so(as_operator: Client) -> None:
    assert "Nothing has run yet" in as_operator.get("/executions/").content.decode()


def test_the_history_filters_by_the_status_in_the_address(
    as_operator: Client, task: ScheduledTask
) -> None:
    factories.execution(task, status="success")
    factories.execution(task, status="failed")
    rows = as_operator.get("/executions/?status=failed").context["history"].rows
    assert [one.status for one in rows] == ["failed"]


def test_the_history_goes_on_where_the_page_before_ended(
    as_operator: Client, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [factories.execution(task, status="success") for _ in range(27)]
    first = as_operator.get("/executions/").context["history"]
    rest = as_operator.get(f"/executions/?before={first.older}").context["history"]
    shown = [one.pk for one in [*first.rows, *rest.rows]]
    assert shown == sorted((one.pk for one in made), reverse=True)
    assert rest.older is None


def test_the_history_says_when_each_was_opened_whether_or_not_it_started(
    as_operator: Client, task: ScheduledTask
) -> None:
    factories.execution(task, status="missed", created_at=factories.moment("2026-11-03T04:05"))
    page = as_operator.get("/executions/").content.decode()
    assert '<th scope="col">Opened</th>' in page
    assert "4:05" in page
    assert "Started" not in page


@pytest.mark.parametrize("trigger", ["manual", "retry", "restore"])
def test_what_a_person_opened_names_them(
    as_admin: Client, admin: User, task: ScheduledTask, trigger: str
) -> None:
    execution = factories.execution(task, user=admin, trigger=trigger)
    why = f"{execution.get_trigger_display()}, admin"
    for address in ("/executions/", execution.get_absolute_url()):
        assert why in as_admin.get(address).content.decode()


@pytest.mark.parametrize(("trigger", "by"), [("schedule", "beat"), ("dependency", "worker")])
def test_what_nobody_opened_names_nobody(
    as_admin: Client, task: ScheduledTask, trigger: str, by: str
) -> None:
    execution = factories.execution(task, trigger=trigger, opened_by=by)
    why = f"{execution.get_trigger_display()}, "
    for address in ("/executions/", execution.get_absolute_url()):
        assert why not in as_admin.get(address).content.decode()


def test_the_counts_are_filters(as_operator: Client, mixed: Execution) -> None:
    page = as_operator.get(mixed.get_absolute_url())
    counts = {one.name: one.count for one in page.context["headlines"]}
    assert counts == {
        "succeeded": 1,
        "failed": 1,
        "lost": 0,
        "running": 1,
        "waiting": 1,
        "offline": 1,
        "skipped": 0,
        "cancelled": 0,
    }
    assert names(as_operator, mixed, "?show=failed") == ["host-1"]
    assert names(as_operator, mixed, "?show=offline") == ["host-away"]
    assert names(as_operator, mixed, "?search=AWAY") == ["host-away"]


def test_a_run_that_waits_says_what_for(as_operator: Client, mixed: Execution) -> None:
    page = as_operator.get(mixed.get_absolute_url() + "?show=waiting").content.decode()
    assert "The device is offline" in page


def test_the_output_of_the_chosen_run_shows_as_text(as_operator: Client, mixed: Execution) -> None:
    run = DeviceRun.objects.get(device_name="host-2")
    factories.write_output(run, b"\x1b[31m<b>disk full</b>\x1b[0m\n")
    page = as_operator.get(f"{mixed.get_absolute_url()}?run={run.pk}").content.decode()
    assert "&lt;b&gt;disk full&lt;/b&gt;" in page
    assert "\x1b" not in page
    assert f'data-url="/api/schedule/runs/{run.pk}/output"' in page


def test_a_run_of_another_execution_does_not_show_here(
    as_operator: Client, mixed: Execution, admin: User
) -> None:
    other = factories.run(factories.execution(factories.task(admin)))
    answer = as_operator.get(f"{mixed.get_absolute_url()}?run={other.pk}")
    assert answer.status_code == 404


def test_the_bar_is_drawn_without_inline_style(as_operator: Client, mixed: Execution) -> None:
    page = as_operator.get(mixed.get_absolute_url()).content.decode()
    assert '<rect class="bar-good" x="0.000" y="0" width="25.000"' in page
    assert "style=" not in page


def test_cancel_names_what_it_stops_and_then_cancels(
    as_operator: Client, mixed: Execution, sent: list[Any]
) -> None:
    address = f"/executions/{mixed.pk}/cancel"
    page = as_operator.get(address).content.decode()
    assert "It is stopped on 1 device where it is running" in page
    assert "On 1 device it will not start." in page
    assert as_operator.post(address)["Location"] == mixed.get_absolute_url()
    mixed.refresh_from_db()
    assert mixed.cancel_requested_at is not None


def test_retry_opens_a_new_execution_on_what_failed(
    as_operator: Client, task: ScheduledTask, web_device: Device
) -> None:
    execution = factories.execution(task)
    factories.run(execution, web_device, status="failed")
    Execution.objects.filter(pk=execution.pk).move("failed", completed_at=execution.created_at)
    address = f"/executions/{execution.pk}/retry"
    assert f'href="{address}"' in as_operator.get(execution.get_absolute_url()).content.decode()
    answer = as_operator.post(address, {"statuses": ["failed"]})
    again = Execution.objects.get(trigger="retry")
    assert answer["Location"] == again.get_absolute_url()


def test_more_devices_ask_no_more_queries(as_operator: Client, mixed: Execution) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            as_operator.get(mixed.get_absolute_url())
        return len(captured)

    before = queries()
    for _ in range(10):
        factories.run(mixed, status="queued")
    assert queries() == before
