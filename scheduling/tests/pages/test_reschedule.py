"""Several tasks get one rule: all of them or none, and only as it was shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from devices.models import DeviceGroup
from scheduling import bulk, rescheduling, schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db

ADDRESS = "/tasks/bulk/reschedule"
WEEKLY = {
    "recurrence_type": "weekly",
    "days_of_week": ["4"],
    "time": "14:30",
    "every": "1",
    "time_zone": "Europe/Berlin",
}
NEW = "Every Friday at 14:30, Europe/Berlin"


@pytest.fixture
def tasks(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    return [
        factories.task(operator, groups=[web_group], name=name) for name in ("Backups", "Disks")
    ]


def ids(tasks: list[ScheduledTask]) -> list[str]:
    return [str(task.pk) for task in tasks]


def confirm(client: Client, tasks: list[ScheduledTask], **changes: Any) -> Any:
    """Presses the button under the list that these fields bring up."""
    typed = {"task": ids(tasks), **WEEKLY, **changes}
    shown = client.post(ADDRESS, typed).context["shown"]
    return client.post(ADDRESS, {**typed, "shown": shown, "confirmed": "1"})


def rules(tasks: list[ScheduledTask]) -> set[str]:
    return {ScheduledTask.objects.get(pk=task.pk).recurrence_type for task in tasks}


def test_it_lists_what_changes_and_changes_nothing_yet(
    as_operator: Client, tasks: list[ScheduledTask]
) -> None:
    page = as_operator.post(ADDRESS, {"task": ids(tasks), **WEEKLY}).content.decode()
    assert page.count("Every day at 02:00, UTC") == 2
    assert page.count(NEW) == 3
    assert "Reschedule 2 tasks</button>" in page
    assert "By the new rule they run on the 1 device they target now." in page
    assert rules(tasks) == {"daily"}


def test_confirmed_each_has_the_new_rule_and_keeps_the_rest(
    as_operator: Client, tasks: list[ScheduledTask]
) -> None:
    answer = confirm(as_operator, tasks)
    assert answer["Location"] == "/tasks/"
    for task in tasks:
        changed = ScheduledTask.objects.get(pk=task.pk)
        assert changed.schedule_text.capitalize() == NEW.capitalize()
        assert (changed.name, changed.group_ids) == (task.name, task.group_ids)
        assert changed.next_scheduled_for != task.next_scheduled_for


def test_the_form_begins_with_the_rule_of_one_of_them(
    as_operator: Client, tasks: list[ScheduledTask]
) -> None:
    page = as_operator.get(ADDRESS, {"task": ids(tasks)}).content.decode()
    assert 'value="daily" checked' in page
    assert page.count("as before") == 2


def test_another_rule_than_the_one_that_was_listed_is_listed_first(
    as_operator: Client, tasks: list[ScheduledTask]
) -> None:
    typed = {"task": ids(tasks), **WEEKLY}
    shown = as_operator.post(ADDRESS, typed).context["shown"]
    later = {**typed, "time": "15:00", "shown": shown, "confirmed": "1"}
    assert "no longer what was confirmed" in as_operator.post(ADDRESS, later).content.decode()
    assert rules(tasks) == {"daily"}


def test_a_task_that_somebody_changed_meanwhile_is_listed_again(
    as_operator: Client, operator: User, tasks: list[ScheduledTask]
) -> None:
    typed = {"task": ids(tasks), **WEEKLY}
    shown = as_operator.post(ADDRESS, typed).context["shown"]
    schedules.update(tasks[0], operator, {"time_zone": "Asia/Tokyo"}, partial=True)
    answer = as_operator.post(ADDRESS, {**typed, "shown": shown, "confirmed": "1"})
    assert "Asia/Tokyo" in answer.content.decode()
    assert rules(tasks) == {"daily"}


def test_where_one_cannot_have_the_rule_none_gets_it(
    as_operator: Client, operator: User, web_group: DeviceGroup, tasks: list[ScheduledTask]
) -> None:
    spread = factories.task(operator, groups=[web_group], name="Spread", jitter_seconds=3_600)
    often = {"recurrence_type": "interval", "every": "10", "unit": "minutes"}
    answer = confirm(as_operator, [*tasks, spread], **often)
    first = answer.context["listed"][0]
    assert (first.task, bool(first.problem)) == (spread, True)
    assert "1 task cannot have this rule" in answer.content.decode()
    assert rules([*tasks, spread]) == {"daily"}


def test_a_rule_that_never_comes_within_a_tasks_bounds_says_so(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    bounded = factories.task(operator, groups=[web_group], end_at="2080-01-01T00:00:00Z")
    once = {"recurrence_type": "once", "run_at": "2090-01-01T00:00", "time_zone": "UTC"}
    page = as_operator.post(ADDRESS, {"task": ids([bounded]), **once}).content.decode()
    assert "<small>Never runs within its start" in page


def test_a_refusal_in_mid_way_takes_back_what_was_changed(
    operator: User, tasks: list[ScheduledTask]
) -> None:
    schedules.delete(tasks[1], operator)
    rule = {"recurrence_type": "interval", "recurrence_config": {"every": 1, "unit": "hours"}}
    with pytest.raises(rescheduling.NotRescheduled) as refused:
        rescheduling.reschedule(tasks, operator, rule)
    assert refused.value.problems == {tasks[1].pk: "Somebody has deleted it."}
    assert rules(tasks[:1]) == {"daily"}


def test_what_is_no_rule_is_refused_beside_its_field_and_offers_no_button(
    as_operator: Client, tasks: list[ScheduledTask]
) -> None:
    answer = confirm(as_operator, tasks, time="25:00")
    assert answer.context["recurrence"].errors["time"]
    assert 'value="25:00"' in answer.content.decode()
    assert 'name="confirmed"' not in answer.content.decode()


def test_targets_they_may_no_longer_use_are_named_in_the_list(
    as_operator: Client, web_group: DeviceGroup, tasks: list[ScheduledTask]
) -> None:
    web_group.people.clear()
    answer = confirm(as_operator, tasks)
    assert {one.problem for one in answer.context["listed"]} == {
        "You may not use every target of this task."
    }
    assert rules(tasks) == {"daily"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_reschedules_what_they_may_not_see(
    as_outsider: Client, tasks: list[ScheduledTask], method: str
) -> None:
    typed = {"task": ids(tasks), **WEEKLY, "confirmed": "1"}
    answer = getattr(as_outsider, method)(ADDRESS, typed)
    assert answer["Location"] == "/tasks/"
    assert "Backups" not in as_outsider.get("/tasks/").content.decode()
    assert rules(tasks) == {"daily"}


def test_the_dialog_is_told_where_to_go_and_gets_its_form_alone(
    as_operator: Client, tasks: list[ScheduledTask]
) -> None:
    headers = {"HX-Request": "true", "HX-Target": "task-form"}
    form = as_operator.post(ADDRESS, {"task": ids(tasks)}, headers=headers).content.decode()
    assert form.startswith("<form")
    typed = {"task": ids(tasks), **WEEKLY}
    shown = as_operator.post(ADDRESS, typed).context["shown"]
    done = as_operator.post(
        ADDRESS, {**typed, "shown": shown, "confirmed": "1", "next": "/tasks/?q=1"}, headers=headers
    )
    assert done["HX-Redirect"] == "/tasks/?q=1"


def test_the_list_of_a_thousand_takes_as_many_queries_as_of_one(
    as_operator: Client,
    operator: User,
    web_group: DeviceGroup,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    task = factories.task(operator, groups=[web_group])
    ScheduledTask.objects.bulk_create(
        ScheduledTask(
            user=operator,
            name=f"task {number}",
            task_type="command",
            task_payload=task.task_payload,
            recurrence_type="daily",
            recurrence_config={"time": "02:00"},
            group_ids=task.group_ids,
        )
        for number in range(bulk.MOST_TASKS - 1)
    )
    every = [str(pk) for pk in ScheduledTask.objects.values_list("pk", flat=True)]
    with django_assert_max_num_queries(12):
        answer = as_operator.post(ADDRESS, {"task": every, **WEEKLY})
    assert answer.context["extent"].tasks == bulk.MOST_TASKS
    assert len(answer.context["listed"]) == 100
    assert len(answer.content) < 300_000
