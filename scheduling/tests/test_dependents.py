from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from accounts.errors import InvalidInput
from devices.models import DeviceGroup
from scheduling import drafts, ledger, opening, reconcile, rollout, schedules
from scheduling.models import Execution, ScheduledTask, TaskDependency
from scheduling.tests import factories


@pytest.fixture
def parent(admin: User) -> ScheduledTask:
    return factories.task(admin, name="Parent")


def child_of(parent: ScheduledTask, on: str, **changes: Any) -> ScheduledTask:
    depends_on = [{"task_id": str(parent.pk), "on": on}]
    return factories.by_hand(parent.user, name=f"on {on}", depends_on=depends_on, **changes)


TABLE = [
    ("success", {"success", "completion"}),
    ("failed", {"failure", "completion"}),
    ("partial", {"failure", "completion"}),
    ("skipped", set()),
    ("missed", set()),
    ("cancelled", set()),
    ("running", set()),
    ("pending", set()),
]


@pytest.mark.parametrize(("status", "opens"), TABLE)
def test_the_end_of_a_parent_opens_whom_it_concerns(
    parent: ScheduledTask, status: str, opens: set[str]
) -> None:
    for on in TaskDependency.On.values:
        child_of(parent, on)
    execution = factories.execution(parent, status=status)
    opened = opening.open_dependents(execution.pk)
    assert {one.task_name for one in opened} == {f"on {on}" for on in opens}
    for one in opened:
        assert (one.trigger, one.caused_by, one.scheduled_for) == ("dependency", execution, None)
        assert one.status == "running"


def test_a_hint_that_comes_twice_opens_once(parent: ScheduledTask) -> None:
    child_of(parent, "success")
    execution = factories.execution(parent, status="success")
    assert len(opening.open_dependents(execution.pk)) == 1
    assert opening.open_dependents(execution.pk) == []


def test_reconcile_opens_what_a_lost_hint_left(parent: ScheduledTask) -> None:
    child = child_of(parent, "failure")
    factories.execution(parent, status="failed")
    assert reconcile.open_dependents() == 1
    assert reconcile.open_dependents() == 0
    assert child.executions.get().trigger == "dependency"


def test_reconcile_opens_those_that_a_worker_killed_between_two_left(
    parent: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = [child_of(parent, "success") for _number in range(2)]
    execution = factories.execution(parent, status="success")
    open_one, died = opening._open_dependent, OperationalError("the connection is gone")

    def die_at_the_second(task_id: UUID, cause: Execution) -> Execution | None:
        if Execution.objects.filter(caused_by=cause).exists():
            raise died
        return open_one(task_id, cause)

    with monkeypatch.context() as patch, pytest.raises(OperationalError):
        patch.setattr(opening, "_open_dependent", die_at_the_second)
        opening.open_dependents(execution.pk)
    assert reconcile.open_dependents() == 1
    assert [one.executions.count() for one in children] == [1, 1]


def test_ends_that_concern_nobody_do_not_crowd_out_the_others(
    parent: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "AT_ONCE", 2)
    child = child_of(parent, "failure", overlap_policy="allow")
    for _number in range(3):
        factories.execution(parent, status="success")
    factories.execution(parent, status="failed")
    assert reconcile.open_dependents() == 1
    assert child.executions.count() == 1


def test_what_ended_while_the_dependent_was_paused_opens_nothing_later(
    parent: ScheduledTask,
) -> None:
    child, other = child_of(parent, "success"), child_of(parent, "completion")
    schedules.pause(child, parent.user)
    execution = factories.execution(parent, status="success")
    schedules.resume(child, parent.user)
    # The other one's lost hint is made up for, without the paused one coming along.
    assert reconcile.open_dependents() == 1
    assert [one.task for one in Execution.objects.filter(caused_by=execution)] == [other]


def test_an_end_from_before_it_was_a_parent_opens_nothing(parent: ScheduledTask) -> None:
    execution = factories.execution(parent, status="success")
    Execution.objects.filter(pk=execution.pk).update(
        completed_at=timezone.now() - timedelta(seconds=1)
    )
    child_of(parent, "success")
    assert opening.open_dependents(execution.pk) == []
    assert reconcile.open_dependents() == 0


def test_an_edit_leaves_the_parents_it_keeps_alone(parent: ScheduledTask, admin: User) -> None:
    child = child_of(parent, "success")
    execution = factories.execution(parent, status="success")
    second = factories.task(admin, name="Second parent")
    links = [{"task_id": str(one.pk), "on": "success"} for one in (parent, second)]
    schedules.update(child, admin, {"depends_on": links}, partial=True)
    assert len(opening.open_dependents(execution.pk)) == 1
    assert child.dependencies.count() == 2


def test_a_dependent_heeds_overlap(parent: ScheduledTask) -> None:
    child = child_of(parent, "success")
    factories.run(factories.execution(child), status="running")
    execution = factories.execution(parent, status="success")
    (opened,) = opening.open_dependents(execution.pk)
    assert opened.status == "skipped"


def test_a_dependent_always_has_something_left_to_come(parent: ScheduledTask) -> None:
    child = child_of(parent, "success")
    assert (child.status, child.next_run_time) == ("pending", None)
    assert schedules.pause(child, parent.user).status == "paused"


def test_a_circle_is_refused_and_named(parent: ScheduledTask, admin: User) -> None:
    child = child_of(parent, "success")
    links = [{"task_id": str(child.pk), "on": "success"}]
    with pytest.raises(InvalidInput, match=r"circle: Parent → on success → Parent"):
        schedules.update(parent, admin, {"depends_on": links}, partial=True)
    links = [{"task_id": str(parent.pk), "on": "success"}]
    with pytest.raises(InvalidInput, match="circle: Parent → Parent"):
        schedules.update(parent, admin, {"depends_on": links}, partial=True)


def test_a_circle_through_somebody_elses_task_does_not_tell_its_name(
    parent: ScheduledTask, operator: User, web_group: DeviceGroup
) -> None:
    mine = factories.by_hand(operator, name="Mine", groups=[web_group])
    hidden = factories.by_hand(
        parent.user, name="Hidden", depends_on=[{"task_id": str(mine.pk), "on": "success"}]
    )
    TaskDependency.objects.create(task=mine, parent=hidden, on="failure")
    kept = [{"task_id": str(hidden.pk), "on": "success"}]
    with pytest.raises(InvalidInput, match=f"circle: Mine → {hidden.pk} → Mine"):
        schedules.update(mine, operator, {"depends_on": kept}, partial=True)


def test_one_dependent_that_cannot_be_opened_keeps_no_other_from_it(
    parent: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = child_of(parent, "success"), child_of(parent, "completion")
    count = drafts.count

    def break_one(task: ScheduledTask, execution: Execution) -> None:
        if task.pk == broken.pk:
            raise IntegrityError
        count(task, execution)

    monkeypatch.setattr(drafts, "count", break_one)
    ended = factories.execution(parent, status="success")
    (opened,) = opening.open_dependents(ended.pk)
    assert opened.task == sound
    assert broken.executions.count() == 0


def test_a_deleted_parent_takes_only_the_link_along(parent: ScheduledTask, admin: User) -> None:
    child = child_of(parent, "success")
    schedules.delete(parent, admin)
    assert child.dependencies.count() == 0
    assert ScheduledTask.objects.get() == child


def test_late_evidence_opens_no_dependent_and_takes_none_away(admin: User) -> None:
    parent = factories.task(admin)
    children = {
        on: factories.by_hand(admin, depends_on=[{"task_id": str(parent.pk), "on": on}])
        for on in ("success", "failure")
    }
    execution = factories.execution(parent)
    run = factories.run(execution, status="lost")
    rollout.advance(execution.pk)
    ledger.results([factories.result_of(run)])
    execution.refresh_from_db()
    assert execution.status == "success"
    reconcile.open_dependents()
    opening.open_dependents(execution.pk)
    assert {on: child.executions.count() for on, child in children.items()} == {
        "success": 0,
        "failure": 1,
    }


def test_what_ran_after_a_deleted_task_alone_has_nothing_left_to_come(
    parent: ScheduledTask, admin: User
) -> None:
    child, other = child_of(parent, "success"), factories.task(admin)
    depends_on = [{"task_id": str(one.pk), "on": "success"} for one in (parent, other)]
    kept = factories.by_hand(admin, depends_on=depends_on)
    schedules.delete(parent, admin)
    child.refresh_from_db()
    kept.refresh_from_db()
    assert (child.status, kept.status) == ("completed", "pending")


def test_a_task_says_who_deleted_what_it_ran_after(parent: ScheduledTask, admin: User) -> None:
    child = child_of(parent, "success")
    schedules.delete(parent, admin)
    change = child.changes.first()
    assert change is not None
    assert change.user == admin
    (field,) = change.fields
    assert (field["field"], field["removed"]["count"]) == ("depends_on", 1)
