from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.task_filters import QUICK
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    names = ["Disk space", "Backups", "disk health"]
    return [factories.task(operator, groups=[web_group], name=name) for name in names]


def shown(client: Client, query: str) -> list[str]:
    rows: list[Any] = client.get(f"/tasks/{query}").context["rows"]
    return [task.name for task, _summary in rows]


def test_the_first_visit_says_what_to_do_first(as_operator: Client) -> None:
    page = as_operator.get("/tasks/").content.decode()
    assert "Schedule the first task" in page
    assert 'href="/tasks/new"' in page
    for what in ("commands", "software", "files"):
        assert what in page.partition("Nothing is scheduled yet")[2]


def test_the_search_finds_names_whatever_their_case(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    assert sorted(shown(as_operator, "?search=DISK")) == ["Disk space", "disk health"]


def test_the_status_in_the_address_filters_and_shows_in_the_form(
    as_operator: Client, operator: User, three: list[ScheduledTask]
) -> None:
    schedules.pause(three[1], operator)
    assert shown(as_operator, "?status=paused") == ["Backups"]
    page = as_operator.get("/tasks/?status=paused").content.decode()
    assert '<option value="paused" selected>' in page


def test_names_sort_whatever_their_case(as_operator: Client, three: list[ScheduledTask]) -> None:
    assert shown(as_operator, "?sort=name") == ["Backups", "disk health", "Disk space"]


def run_at(task: ScheduledTask, last: timedelta | None, due: timedelta | None, runs: int) -> None:
    now = timezone.now()
    ScheduledTask.objects.filter(pk=task.pk).update(
        last_run_time=None if last is None else now - last,
        next_run_time=None if due is None else now + due,
        execution_count=runs,
    )


@pytest.fixture
def various(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    """Made in the order of their names, each another in when it ran, when it is due and how often."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    given: dict[str, Any] = {"groups": [web_group], "recurrence_config": {"time": "02:00"}}
    tasks = [
        factories.task(operator, name="a", tags=["daily"], **given),
        factories.task(operator, name="b", tags=["daily", "x, y"], **given),
        factories.task(operator, name="c", **given),
        factories.task(operator, name="d", **given),
    ]
    run_at(tasks[0], 2 * hour, 3 * hour, 5)
    run_at(tasks[1], 3 * day, 2 * day, 9)
    run_at(tasks[2], 40 * day, 20 * day, 1)
    run_at(tasks[3], None, hour, 0)
    ScheduledTask.objects.filter(pk=tasks[2].pk).update(
        task_type="file_deployment",
        task_payload={"file_ids": ["motd"], "target_path": "/etc/"},
    )
    ScheduledTask.objects.filter(pk=tasks[0].pk).update(status="failed")
    ScheduledTask.objects.filter(pk=tasks[1].pk).update(status="running")
    ScheduledTask.objects.filter(pk=tasks[3].pk).update(status="completed")
    return tasks


@pytest.mark.usefixtures("various")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?type=command", "dab"),
        ("?type=file_deployment", "c"),
        ("?type=software_deployment", ""),
        ("?ran=day", "a"),
        ("?ran=week", "ab"),
        ("?ran=old", "c"),
        ("?ran=never", "d"),
        ("?due=day", "da"),
        ("?due=week", "dab"),
        ("?due=none", ""),
        ("?tag=daily", "ab"),
        ("?tag=x, y", "b"),
        ("?tag=x", ""),
        ("?tag=daily&ran=day", "a"),
        ("?status=running", "b"),
        ("?sort=next", "dabc"),
        ("?sort=last", "abcd"),
        ("?sort=name", "abcd"),
        ("?sort=runs", "bacd"),
        ("?sort=newest", "dcba"),
    ],
)
def test_the_address_narrows_and_sorts(as_operator: Client, query: str, names: str) -> None:
    assert "".join(shown(as_operator, query)) == names


@pytest.mark.usefixtures("various")
def test_the_saved_views_find_what_they_say(as_operator: Client) -> None:
    found = {str(label): "".join(shown(as_operator, f"?{query}")) for label, query in QUICK}
    assert found == {
        "Failed in the last 24 hours": "a",
        "Running now": "b",
        "Due within 24 hours": "da",
        "Never run": "d",
        "Nothing left to come": "",
    }
    page = as_operator.get("/tasks/").content.decode()
    for label, query in QUICK:
        assert f'href="/tasks/?{escape(query)}">{label}</a>' in page


@pytest.mark.usefixtures("various")
def test_each_card_says_how_many_and_leads_to_them(as_operator: Client) -> None:
    page = as_operator.get("/tasks/").content.decode()
    cards = re.findall(r'<a class="stat" href="([^"]*)"[^>]*><strong>(\d+)</strong>', page)
    assert cards == [
        ("/tasks/", "4"),
        *((f"/tasks/?status={one}", "1") for one in ("pending", "running", "completed", "failed")),
    ]
    for address, number in cards:
        assert len(shown(as_operator, address.removeprefix("/tasks/"))) == int(number)


def test_a_row_says_when_what_and_where(
    as_operator: Client, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    task = factories.task(
        operator, groups=[web_group], devices=[web_device], time_zone="Asia/Tokyo"
    )
    last = factories.moment("2026-11-20T17:00")
    ScheduledTask.objects.filter(pk=task.pk).update(
        last_run_time=last,
        last_execution_status="partial",
        execution_count=12,
        next_run_time=factories.moment("2031-05-12T17:00"),
    )
    page = as_operator.get("/tasks/").content.decode()
    row = page.partition(f'<tr id="task-{task.pk}">')[2].partition("</tr>")[0]
    words = " ".join(re.sub("<[^>]*>", " ", row).split())
    assert "Every day at 02:00, Asia/Tokyo" in words
    assert "Next run Tue 13 May 2031, 02:00 Asia/Tokyo" in words
    assert "Last run Sat 21 Nov 2026, 02:00 Asia/Tokyo" in words
    assert '<time datetime="2031-05-12T17:00:00Z" title="Tue 13 May 2031, 02:00 Asia/Tokyo">' in row
    assert "Partial" in words
    assert '<td class="number" data-label="Runs"><span>12</span>' in row
    assert "1 group + 1 device" in words


@pytest.fixture
def without_next_run(operator: User, web_group: DeviceGroup) -> None:
    """One task of each sort that has none, by what it waits for."""
    paused = factories.task(operator, groups=[web_group], name="to be resumed")
    after = [{"task_id": str(paused.pk), "on": "success"}]
    factories.by_hand(operator, groups=[web_group], name="its parent", depends_on=after)
    running = factories.by_hand(operator, groups=[web_group], name="the end of its run")
    factories.execution(running)
    factories.by_hand(operator, groups=[web_group], name="nothing")
    schedules.pause(paused, operator)


@pytest.mark.usefixtures("without_next_run", "three")
def test_nothing_left_to_come_is_less_than_no_next_run(as_operator: Client) -> None:
    waiting = ["its parent", "nothing", "the end of its run", "to be resumed"]
    assert shown(as_operator, "?due=none&sort=name") == waiting
    assert shown(as_operator, "?due=over") == ["nothing"]
    page = as_operator.get("/tasks/").content.decode()
    assert 'href="/tasks/?due=over&amp;sort=last">Nothing left to come</a>' in page


def test_a_filter_that_nobody_knows_is_no_filter(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    assert len(shown(as_operator, "?status=odd&type=odd&sort=odd&page=odd")) == 3


def test_a_page_beyond_the_last_is_the_last(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    assert len(shown(as_operator, "?page=99")) == 3


def test_nothing_fits_says_so_and_offers_everything(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    page = as_operator.get("/tasks/?search=nothing-like-it").content.decode()
    assert "No task fits" in page
    assert "Show all" in page


def test_a_script_gets_the_list_alone(as_operator: Client, three: list[ScheduledTask]) -> None:
    headers = {"HX-Request": "true", "HX-Target": "task-list"}
    page = as_operator.get("/tasks/", headers=headers).content.decode()
    assert page.lstrip().startswith('<section class="stack" id="task-list"')
    assert "<html" not in page


def test_names_of_others_are_text_and_not_markup(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    factories.task(operator, groups=[web_group], name="<script>alert(1)</script>")
    page = as_operator.get("/tasks/").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_more_rows_ask_no_more_queries(
    as_operator: Client, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    factories.task(operator, groups=[web_group], devices=[web_device])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            as_operator.get("/tasks/")
        return len(captured)

    before = queries()
    for number in range(8):
        one = factories.device(f"more-{number}")
        group = factories.group(f"group-{number}", devices=[one], people=[operator])
        factories.task(operator, groups=[group], devices=[one])
    assert queries() == before
