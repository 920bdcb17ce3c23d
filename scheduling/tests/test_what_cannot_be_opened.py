"""One task, group or device that is not as it should be keeps none of the others from their work."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices import groups, membership
from devices.models import Device
from scheduling import calendar, due, health, heartbeats, opening, reconcile, recovery, schedules
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
# More digits than any number has that the database can hold.
TINY = f"0.{'0' * 400}1"
Change = dict[str, Any]


def due_task(user: User, ago: int = 5, **options: Any) -> ScheduledTask:
    task = factories.task(user, **options)
    factories.make_due(task, ago=timedelta(seconds=ago))
    return task


def by_query(user: User, name: str, query: str) -> Any:
    return groups.create(user, {"name": name, "kind": "dynamic", "query": query})


def change(task: ScheduledTask, **values: Any) -> None:
    """Behind our back, as another version, or a hand in the database, leaves it."""
    ScheduledTask.objects.filter(pk=task.pk).update(**values)
    task.refresh_from_db()


@pytest.fixture
def sound(admin: User) -> ScheduledTask:
    return due_task(admin)


def open_with(sound: ScheduledTask, *others: ScheduledTask) -> None:
    """All of them in one burst; the sound one has to open."""
    due.open_many({task.pk: None for task in (*others, sound)}, "beat")
    assert sound.executions.get().status == "running"


def test_what_one_device_says_of_itself_stops_nobody(admin: User, sound: ScheduledTask) -> None:
    device = factories.device(facts={"load": 2})
    factories.device("odd", facts={"load": TINY})
    task = due_task(admin, groups=[by_query(admin, "Loaded", "facts.load > 1")])
    open_with(sound, task)
    assert [run.device for run in task.executions.get().runs.all()] == [device]
    assert membership.refresh_stale(timezone.now() + timedelta(minutes=2)) == 0


def test_one_that_cannot_be_opened_keeps_no_other_from_it(
    admin: User, sound: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = by_query(admin, "Linux", "os = linux")
    refresh = membership.refresh_named

    def fail(group_ids: Collection[Any]) -> None:
        if str(group.pk) in map(str, group_ids):
            raise ValueError("a defect")
        refresh(group_ids)

    factories.device()
    task = due_task(admin, ago=600, groups=[group])
    monkeypatch.setattr(membership, "refresh_named", fail)
    open_with(sound, task)
    assert (reconcile.open_due(), task.executions.count()) == (0, 0)


def test_administrators_are_told_of_what_is_not_opened(
    admin: User, client: Client, sound: ScheduledTask
) -> None:
    for kind in ("worker", "beat"):
        heartbeats.record(kind, "one")
    client.force_login(admin)
    for ago, is_told in ((200, False), (400, True)):
        factories.make_due(sound, ago=timedelta(seconds=ago))
        health.forget_checks()
        page = client.get(reverse("health")).content.decode()
        assert ("1 task is due since" in page) is is_told
    waits = due_task(admin, ago=900, misfire_policy="run_all")
    factories.run(factories.execution(waits), status="running")
    health.forget_checks()
    assert "1 task is due since" in client.get(reverse("health")).content.decode()


def test_a_type_of_task_that_is_gone_fails_and_says_so(admin: User, sound: ScheduledTask) -> None:
    task = due_task(admin)
    change(task, task_type="gone")
    open_with(sound, task)
    execution = task.executions.get()
    assert (execution.status, "'gone'" in execution.error_message) == ("failed", True)
    task.refresh_from_db()
    assert task.next_run_time is not None
    assert (task.status, task.next_run_time > timezone.now()) == ("failed", True)


def test_one_dependent_that_cannot_be_opened_keeps_no_other_from_it(admin: User) -> None:
    parent = factories.task(admin)
    after = {"depends_on": [{"task_id": str(parent.pk), "on": "success"}]}
    first, second = sorted(factories.by_hand(admin, **after).pk for _number in range(2))
    factories.execution(parent, status="success")
    open_one = opening._open_dependent

    def fail(task_id: Any, cause: Execution) -> Execution | None:
        if task_id == first:
            raise ValueError("a defect")
        return open_one(task_id, cause)

    with mock.patch.object(opening, "_open_dependent", fail):
        reconcile.open_dependents()
    assert list(Execution.objects.filter(trigger="dependency").values_list("task", flat=True)) == [
        second
    ]


def test_one_group_that_fails_keeps_no_other_from_being_brought_up_to_date(admin: User) -> None:
    first, second = sorted(
        (by_query(admin, name, "os = linux") for name in ("One", "Two")), key=lambda one: one.pk
    )
    factories.device()
    found = membership.found

    def fail(query: str) -> Any:
        if query == "broken":
            raise ValueError("a defect")
        return found(query)

    type(first).objects.filter(pk=first.pk).update(query="broken")
    with mock.patch.object(membership, "found", fail):
        membership.refresh_stale(timezone.now() + timedelta(minutes=2))
    assert (first.devices.count(), second.devices.count()) == (0, 1)


BROKEN: dict[str, Change] = {
    "zone": {"time_zone": "Atlantis/Capital"},
    "config": {"recurrence_config": {"time": "nonsense"}},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_task_whose_rule_is_none_any_more_can_be_paused_and_deleted(
    admin: User, broken: Change
) -> None:
    task = factories.task(admin)
    change(task, **broken)
    assert schedules.pause(task, admin).status == "paused"
    schedules.delete(task, admin)
    assert not ScheduledTask.objects.filter(pk=task.pk).exists()


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_recovery_begins_whatever_a_rule_is(
    admin: User, sound: ScheduledTask, broken: Change
) -> None:
    task = due_task(admin)
    moment = task.next_scheduled_for
    change(task, **broken)
    assert recovery.begin().tasks == 2
    missed = task.executions.get()
    assert (missed.status, missed.scheduled_for) == ("missed", moment)
    task.refresh_from_db()
    assert task.next_run_time is None


def test_the_calendar_shows_what_ran_in_a_zone_that_is_gone(
    admin: User, web_device: Device
) -> None:
    task = due_task(admin, devices=[web_device])
    moment = task.next_scheduled_for
    assert moment is not None
    opening.open_due(task.pk, None, "beat")
    change(task, time_zone="Atlantis/Capital")
    found = calendar.between(admin, moment, moment + timedelta(seconds=1), now=timezone.now())
    assert [(row.kind, row.local) for row in found.rows] == [("past", moment)]
