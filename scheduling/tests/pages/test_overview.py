from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import Device, DeviceGroup
from scheduling import health, outcomes
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def verdict(user: User) -> outcomes.Outcomes:
    return outcomes.latest(user, now=timezone.now())


def test_an_empty_system_says_what_to_do_first(as_admin: Client) -> None:
    page = as_admin.get("/").content.decode()
    assert 'href="/devices/new"' in page
    assert 'href="/tasks/new"' in page


def test_what_runs_next_what_runs_and_what_failed_are_linked(
    as_operator: Client, task: ScheduledTask
) -> None:
    running = factories.execution(task)
    failed = factories.execution(task, status="failed")
    page = as_operator.get("/").content.decode()
    for one in (task, running, failed):
        assert f'href="{one.get_absolute_url()}"' in page


def test_a_night_without_a_failure_went_well(operator: User, task: ScheduledTask) -> None:
    for status in ("success", "success", "skipped"):
        factories.execution(task, status=status)
    said = verdict(operator)
    assert said.tone == "good"
    assert said.sentence.startswith("All went well: 2 executions ended in the last 24 hours")


def test_what_went_wrong_is_counted_and_leads_there(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    for status in ("success", "failed", "missed", "missed"):
        last = factories.execution(task, status=status)
    Execution.objects.filter(pk=last.pk).update(completed_at="2026-01-01T00:00Z")
    assert verdict(operator).tone == "bad"
    page = as_operator.get("/").content.decode()
    assert "1 of 3 executions of the last 24 hours succeeded." in page
    assert '<a href="/executions/?status=missed&amp;ended=24h">1 Missed</a>' in page
    there = as_operator.get("/executions/?status=missed&ended=24h")
    assert len(there.context["history"].rows) == 1


@pytest.mark.parametrize("shown", ["failed", "under_way"])
def test_what_is_listed_is_where_its_link_leads(
    as_operator: Client, task: ScheduledTask, shown: str
) -> None:
    for status in Execution.Status.values:
        factories.execution(task, status=status)
    page = as_operator.get("/")
    label = {"failed": "All that went wrong", "under_way": "All that run or wait"}[shown]
    address = page.content.decode().split(f'">{label}')[0].rsplit('href="', 1)[1]
    there = as_operator.get(address).context["history"].rows
    here = [getattr(one, "execution", one) for one in page.context[shown]]
    assert there == here


def test_what_ended_before_yesterday_does_not_count(operator: User, task: ScheduledTask) -> None:
    one = factories.execution(task, status="failed")
    Execution.objects.filter(pk=one.pk).update(completed_at="2026-01-01T00:00Z")
    assert verdict(operator).tone == "still"


def test_what_waits_says_why(as_operator: Client, task: ScheduledTask, web_device: Device) -> None:
    factories.run(factories.execution(task), web_device, status="queued")
    factories.go_offline(web_device)
    assert "1 device is offline." in as_operator.get("/").content.decode()


def test_the_days_show_as_a_chart_and_as_a_table(as_operator: Client, task: ScheduledTask) -> None:
    factories.execution(task, status="success")
    page = as_operator.get("/").content.decode()
    assert 'aria-labelledby="chart-days-title chart-days-desc"' in page
    assert '<th scope="col">Day (UTC)</th>' in page


def test_it_shows_nothing_of_others(as_outsider: Client, task: ScheduledTask) -> None:
    factories.execution(task, status="failed")
    assert "Disk space" not in as_outsider.get("/").content.decode()


def test_however_much_there_is_it_asks_as_often(
    as_admin: Client, operator: User, web_group: DeviceGroup, task: ScheduledTask
) -> None:
    def queries() -> int:
        cache.clear()
        health.recent_checks()
        health.recent_notices()
        with CaptureQueriesContext(connection) as captured:
            as_admin.get("/")
        return len(captured)

    factories.run(factories.execution(task), status="queued")
    before = queries()
    for _ in range(3):
        factories.run(factories.execution(task), status="queued")
        factories.execution(task, status="failed")
        factories.task(operator, groups=[web_group])
    assert queries() == before <= 12


def test_the_live_region_does_not_ask_for_the_chart(as_operator: Client) -> None:
    headers = {"HX-Request": "true", "HX-Target": "overview"}
    with CaptureQueriesContext(connection) as captured:
        as_operator.get("/", headers=headers)
    assert not any("AT TIME ZONE" in one["sql"] for one in captured)
