"""One task: how it has gone, and who changed what."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def ended(task: ScheduledTask, status: str, seconds: int) -> Execution:
    """An execution of one device that took so long."""
    now = timezone.now()
    good = int(status == "success")
    return factories.execution(
        task,
        status=status,
        started_at=now - timedelta(seconds=seconds),
        result={"devices_succeeded": good, "devices_failed": 1 - good, "counts": {}},
    )


def test_it_says_how_long_it_took_and_how_often_it_went_well(
    as_operator: Client, task: ScheduledTask
) -> None:
    for status, seconds in (("success", 20), ("failed", 40)):
        ended(task, status, seconds)
    page = as_operator.get(task.get_absolute_url()).content.decode()
    assert "1 of the last 2 executions succeeded (50 %)." in page
    assert "the longest 40 s" in page
    assert "As a table" in page


def test_it_lists_only_what_its_reader_may_open(
    as_operator: Client, admin: User, task: ScheduledTask
) -> None:
    theirs, others = ended(task, "success", 20), ended(task, "failed", 40)
    Execution.objects.filter(pk=others.pk).update(owner=admin, user=admin)
    page = as_operator.get(task.get_absolute_url()).content.decode()
    assert theirs.get_absolute_url() in page
    assert others.get_absolute_url() not in page


def test_before_the_first_run_there_is_nothing_to_draw(
    as_operator: Client, task: ScheduledTask
) -> None:
    page = as_operator.get(task.get_absolute_url()).content.decode()
    assert "As a table" not in page
    assert "It has not run yet." in page


@pytest.mark.usefixtures("in_2026")
def test_it_says_in_words_when_it_runs_and_the_next_ten_times(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group], time_zone="Europe/Berlin")
    page = as_operator.get(task.get_absolute_url()).content.decode()
    when = page.partition("<h2>When</h2>")[2].partition("</section>")[0]
    assert "Every day at 02:00, Europe/Berlin" in when
    told = re.findall(r"<time [^>]*>([^<]*)</time>", when)
    expected = []
    for number in range(10):
        day = date(2026, 11, 25) + timedelta(days=number)
        words = f"{day:%a} {day.day} {day:%b %Y}"
        expected += [f"{words}, 02:00", f"{words}, 01:00"]  # in its zone, and UTC beside it
    assert told == expected


def test_a_pause_holds_what_would_start_by_itself_and_no_more(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    schedules.pause(task, operator)
    assert "nothing starts by itself" in as_operator.get(task.get_absolute_url()).content.decode()
    answer = as_operator.post(f"/tasks/{task.pk}/execute")
    assert answer["Location"] == task.executions.get().get_absolute_url()


def test_it_says_who_changed_what_from_what_to_what(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    given = {"name": "Disks", "timeout_seconds": 120, "overlap_policy": "allow"}
    schedules.update(task, operator, given, partial=True)
    page = as_operator.get(task.get_absolute_url()).content.decode()
    assert "by operator" in page
    assert '<span class="change-old">Disk space</span>' in page
    assert '<span class="change-new">Disks</span>' in page
    assert '<span class="change-new">2 min 0 s</span>' in page
    assert '<span class="change-new">Allow both</span>' in page


def test_a_new_schedule_is_said_in_words(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    weekly = {"time": "14:30", "days_of_week": [4]}
    given = {"recurrence_type": "weekly", "recurrence_config": weekly}
    schedules.update(task, operator, given, partial=True)
    page = as_operator.get(f"/tasks/{task.pk}/changes").content.decode()
    assert "at 02:00, UTC</span>" in page
    assert "very Friday at 14:30, UTC</span>" in page


def test_targets_are_named_to_who_may_see_them_and_counted_to_others(
    as_operator: Client, as_admin: Client, admin: User, task: ScheduledTask
) -> None:
    secret = factories.device("secret-1")
    schedules.update(task, admin, {"device_ids": [str(secret.pk)]}, partial=True)
    address = f"/tasks/{task.pk}/changes"
    assert "secret-1" in as_admin.get(address).content.decode()
    page = as_operator.get(address).content.decode()
    assert "secret-1" not in page
    assert '<span aria-hidden="true">+</span> 1' in page


def test_a_password_in_the_environment_shows_nowhere_among_the_changes(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    payload = {"command": "echo hello", "environment": {"PASSWORD": "hunter2"}}
    schedules.update(task, operator, {"task_payload": payload}, partial=True)
    page = as_operator.get(f"/tasks/{task.pk}/changes").content.decode()
    assert "PASSWORD" in page
    assert "•••" in page
    assert "hunter2" not in page


def test_older_changes_are_a_page_on(
    as_operator: Client, operator: User, task: ScheduledTask
) -> None:
    for number in range(26):
        schedules.update(task, operator, {"name": f"Task {number}"}, partial=True)
    page = as_operator.get(f"/tasks/{task.pk}/changes").content.decode()
    assert "?before=" in page
    assert page.count('<li id="change-') == 25
    assert as_operator.get(task.get_absolute_url()).content.decode().count('<li id="change-') == 5


def test_however_much_happened_it_asks_no_more(
    as_operator: Client, operator: User, task: ScheduledTask, web_device: Device
) -> None:
    def queries() -> list[int]:
        numbers = []
        for address in (task.get_absolute_url(), f"/tasks/{task.pk}/changes"):
            with CaptureQueriesContext(connection) as captured:
                as_operator.get(address)
            numbers.append(len(captured))
        return numbers

    def happens() -> None:
        group = factories.group(devices=[factories.device()], people=[operator])
        given = {"group_ids": [*task.group_ids, str(group.pk)], "name": group.name}
        task.group_ids = schedules.update(task, operator, given, partial=True).group_ids
        factories.run(ended(task, "success", 5), web_device)

    happens()
    before = queries()
    assert max(before) <= 12
    for _number in range(8):
        happens()
    assert queries() == before


def test_what_is_left_without_a_target_still_opens(
    as_admin: Client, admin: User, web_group: DeviceGroup
) -> None:
    task = factories.task(admin, groups=[web_group])
    schedules.forget_group(web_group.pk)
    page = as_admin.get(f"/tasks/{task.pk}/changes").content.decode()
    assert "by the system" in page
