from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
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


def test_the_type_filters(as_operator: Client, three: list[ScheduledTask]) -> None:
    assert len(shown(as_operator, "?type=command")) == 3


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


def test_the_cards_count_and_lead_to_the_filter(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    answer = as_operator.get("/tasks/")
    assert answer.context["stats"]["total"] == 3
    assert "?status=pending" in answer.content.decode()


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
