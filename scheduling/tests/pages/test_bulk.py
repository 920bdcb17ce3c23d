"""One verb on many tasks: the page that says what it would do, and the doing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from devices.models import Device, DeviceGroup
from scheduling import bulk, schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.views import bulk as views

pytestmark = pytest.mark.django_db
VERBS = ("pause", "resume", "execute", "delete", "edit")


@pytest.fixture
def three(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    names = ["Disk space", "Backups", "disk health"]
    return [factories.task(operator, groups=[web_group], name=name) for name in names]


def looks(client: Client, verb: str, *tasks: ScheduledTask, **given: Any) -> str:
    """The page between the ticks and the deed."""
    data = {"task": [str(one.pk) for one in tasks], **given}
    answer = client.post(f"/tasks/bulk/{verb}", data)
    assert answer.status_code == 200
    return answer.content.decode()


def does(client: Client, verb: str, *tasks: ScheduledTask, **given: Any) -> list[str]:
    """What is said when it was done."""
    data = {"tasks": " ".join(str(one.pk) for one in tasks), "confirmed": "1", **given}
    answer = client.post(f"/tasks/bulk/{verb}", data)
    assert answer.status_code == 302
    return [str(one) for one in get_messages(answer.wsgi_request)]


def test_it_counts_tasks_and_devices_and_changes_nothing_yet(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    page = looks(as_operator, "pause", *three)
    assert "Pause 3 tasks?" in page
    assert "nothing new on the 1 device they target now" in page
    assert not ScheduledTask.objects.filter(is_paused=True).exists()


def test_ticked_tasks_are_paused_and_go_on(as_operator: Client, three: list[ScheduledTask]) -> None:
    assert does(as_operator, "pause", *three[:2]) == ["2 tasks are paused."]
    assert ScheduledTask.objects.filter(is_paused=True).count() == 2
    assert "they run again on the 1 device they target now." in looks(
        as_operator, "resume", *three[:2]
    )
    assert does(as_operator, "resume", *three[:2]) == ["2 tasks go on."]
    assert not ScheduledTask.objects.filter(is_paused=True).exists()


def test_what_cannot_be_done_is_named_with_its_reason_before(
    as_operator: Client, operator: User, three: list[ScheduledTask]
) -> None:
    schedules.pause(three[0], operator)
    page = looks(as_operator, "pause", *three)
    assert "Pause 2 tasks?" in page
    assert "1 task is left as it is:" in page
    assert "Disk space</a>: The task is paused already." in page


def test_nothing_is_left_to_pause_of_a_task_without_a_time(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    by_hand = factories.by_hand(operator, groups=[web_group])
    page = looks(as_operator, "pause", by_hand)
    assert "Pause: nothing to do" in page
    assert "Nothing is left to come" in page
    assert 'name="confirmed"' not in page


def test_what_turned_out_impossible_is_told_and_keeps_no_other_from_it(
    as_operator: Client, operator: User, three: list[ScheduledTask]
) -> None:
    schedules.pause(three[0], operator)
    said = does(as_operator, "pause", *three)
    assert said == ["2 tasks are paused.", "Disk space: The task is paused already."]


def test_all_are_started_at_once(as_operator: Client, three: list[ScheduledTask]) -> None:
    assert "Each starts at once, on 1 device in all." in looks(as_operator, "execute", *three)
    assert does(as_operator, "execute", *three) == ["3 tasks were started."]
    assert Execution.objects.filter(trigger="manual").count() == 3


def test_delete_says_what_is_cancelled(
    as_operator: Client, three: list[ScheduledTask], web_device: Device
) -> None:
    factories.run(factories.execution(three[0]), web_device, status="running")
    page = looks(as_operator, "delete", *three)
    assert "What is under way on 1 device is cancelled." in page
    assert does(as_operator, "delete", *three) == ["3 tasks are deleted."]
    assert not ScheduledTask.objects.exists()


def test_a_device_at_work_for_two_of_them_is_counted_once(
    as_operator: Client, three: list[ScheduledTask], web_device: Device
) -> None:
    for task in three[:2]:
        factories.run(factories.execution(task), web_device, status="running")
    assert "What is under way on 1 device goes on." in looks(as_operator, "pause", *three)


def test_all_that_match_the_filter_are_meant(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    page = looks(as_operator, "pause", all="1", search="disk")
    assert "Pause 2 tasks?" in page
    assert "Backups" not in page


def test_it_leads_back_to_where_the_ticks_were(
    as_operator: Client, three: list[ScheduledTask]
) -> None:
    data = {"task": str(three[0].pk), "confirmed": "1", "next": "/tasks/?status=pending"}
    assert as_operator.post("/tasks/bulk/pause", data)["Location"] == "/tasks/?status=pending"
    assert "elsewhere" not in looks(as_operator, "pause", three[1], next="//elsewhere.example/")


@pytest.mark.parametrize("verb", VERBS)
def test_no_tick_is_told_where_one_came_from(as_operator: Client, verb: str) -> None:
    answer = as_operator.post(f"/tasks/bulk/{verb}", {"task": "odd", "next": "/tasks/?page=2"})
    assert answer["Location"] == "/tasks/?page=2"
    said = [str(one) for one in get_messages(answer.wsgi_request)]
    assert said == ["No task is chosen. Tick some first."]


@pytest.mark.parametrize("verb", VERBS)
def test_tasks_of_others_are_not_there_to_be_chosen(
    as_outsider: Client, three: list[ScheduledTask], verb: str
) -> None:
    ids = [str(one.pk) for one in three]
    for given in ({"task": ids}, {"all": "1"}, {"task": ids, "confirmed": "1", "shown": "1"}):
        answer = as_outsider.post(f"/tasks/bulk/{verb}", given)
        assert answer["Location"] == "/tasks/"
    assert ScheduledTask.objects.filter(is_paused=False).count() == 3
    assert not Execution.objects.exists()


def test_who_lost_a_target_may_neither_resume_nor_execute(
    as_operator: Client, operator: User, web_group: DeviceGroup, three: list[ScheduledTask]
) -> None:
    web_group.people.remove(operator)
    page = looks(as_operator, "execute", *three)
    assert "You may not use every target of this task." in page
    assert 'name="confirmed"' not in page


def test_too_many_at_once_are_refused_with_their_number(
    as_operator: Client, three: list[ScheduledTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_TASKS", 2)
    answer = as_operator.post("/tasks/bulk/delete", {"all": "1", "confirmed": "1"})
    (said,) = [str(one) for one in get_messages(answer.wsgi_request)]
    assert said.startswith("3 tasks were chosen; at most 2")
    assert ScheduledTask.objects.count() == 3


def test_what_takes_too_long_goes_on_where_it_stopped(
    as_operator: Client, three: list[ScheduledTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_SECONDS", -1.0)
    data = {"task": [str(one.pk) for one in three], "confirmed": "1", "next": "/tasks/?page=2"}
    answer = as_operator.post("/tasks/bulk/execute", data)
    page = as_operator.get(answer["Location"]).content.decode()
    assert "1 task was started." in page
    assert "There was no time for 2 tasks: go on with them here." in page
    anew = as_operator.get(answer["Location"]).content.decode()
    for shown in (page, anew):
        assert "Execute 2 tasks now?" in shown
        assert 'href="/tasks/?page=2"' in shown
    assert Execution.objects.count() == 1


def test_what_is_left_is_not_there_for_others(
    as_operator: Client,
    as_admin: Client,
    three: list[ScheduledTask],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "MOST_SECONDS", -1.0)
    data = {"task": [str(one.pk) for one in three], "confirmed": "1"}
    left = as_operator.post("/tasks/bulk/pause", data)["Location"]
    assert as_admin.get(left)["Location"] == "/tasks/"


def test_sent_twice_each_starts_once(as_operator: Client, three: list[ScheduledTask]) -> None:
    for _press in range(2):
        assert does(as_operator, "execute", *three, once="a")
    assert Execution.objects.count() == 3
    assert does(as_operator, "delete", *three, once="b")[-1] == "3 tasks are deleted."
    assert does(as_operator, "delete", *three, once="b")[-1].startswith(
        "It was sent more than once"
    )


def test_what_was_broken_off_goes_on_where_it_is_sent_again(
    as_operator: Client, three: list[ScheduledTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, asked = schedules.execute, []

    def breaks(task: ScheduledTask, user: User) -> Execution:
        asked.append(task)
        if len(asked) == 2:
            raise RuntimeError
        return execute(task, user)

    verb = replace(views.VERBS["execute"], act=breaks)
    monkeypatch.setitem(views.VERBS, "execute", verb)
    with pytest.raises(RuntimeError):
        does(as_operator, "execute", *three, once="a")
    assert Execution.objects.count() == 1
    assert does(as_operator, "execute", *three, once="a") == ["3 tasks were started."]
    assert Execution.objects.count() == 3


def test_of_many_refusals_some_are_told(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    many = [factories.task(operator, groups=[web_group]) for _number in range(7)]
    said = does(as_operator, "resume", *many)
    assert said == [
        *["Disk space: The task is not paused."] * 5,
        "and 2 more were left as they are.",
    ]


@pytest.mark.parametrize("verb", VERBS)
def test_more_ticked_tasks_ask_no_more_queries(
    as_operator: Client, operator: User, web_group: DeviceGroup, verb: str
) -> None:
    def queries(tasks: list[ScheduledTask]) -> int:
        with CaptureQueriesContext(connection) as captured:
            looks(as_operator, verb, *tasks)
        return len(captured)

    some = [factories.task(operator, groups=[web_group]) for _number in range(2)]
    before = queries(some)
    assert before <= 12
    more = [factories.task(operator, groups=[web_group]) for _number in range(6)]
    assert queries(some + more) == before
