"""Tasks that run after others, imported together or onto what is there."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from accounts.uuid7 import uuid7
from devices.models import DeviceGroup
from scheduling.models import ScheduledTask, TaskDependency
from scheduling.tests import factories
from scheduling.tests.porting.given import (
    actions,
    entry,
    exported,
    imported,
    of,
    planned,
    refusal,
)


def after(name: str, on: str = "success", **more: Any) -> list[dict[str, Any]]:
    return [{"task_name": name, "on": on, **more}]


def links() -> set[tuple[str, str, str]]:
    found = TaskDependency.objects.values_list("parent__name", "on", "task__name")
    return set(found)


@pytest.mark.parametrize("order", [("First", "Then"), ("Then", "First")])
def test_two_tasks_are_linked_in_either_order(
    admin: User, web_group: DeviceGroup, order: tuple[str, str]
) -> None:
    depends = {"First": [], "Then": after("First", "failure")}
    given = of(*(entry(web_group, name=name, depends_on=depends[name]) for name in order))
    imported(given, admin)
    assert links() == {("First", "failure", "Then")}
    assert actions(given, admin) == ["keep", "keep"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_ids_link_new_tasks_as_well(
    admin: User, web_group: DeviceGroup, order: tuple[int, int]
) -> None:
    ids = [str(uuid7()), str(uuid7())]
    both = [
        entry(web_group, name="First", id=ids[0]),
        entry(web_group, name="Then", id=ids[1], depends_on=[{"task_id": ids[0], "on": "success"}]),
    ]
    imported(of(*(both[number] for number in order)), admin)
    assert links() == {("First", "success", "Then")}
    assert {str(task.pk) for task in ScheduledTask.objects.all()} == set(ids)


def test_a_task_that_is_there_already_may_be_named(admin: User, web_group: DeviceGroup) -> None:
    there = factories.task(admin, name="There")
    for depends_on in (after("There"), [{"task_id": str(there.pk), "on": "success"}],
                       after("There", task_id=str(uuid4()))):  # fmt: skip
        given = of(entry(web_group, depends_on=depends_on))
        imported(given, admin)
        assert links() == {("There", "success", "Disk space")}


def test_a_link_that_may_mean_another_task_is_refused(
    admin: User, operator: User, web_group: DeviceGroup
) -> None:
    there = factories.task(admin, name="There")
    theirs = factories.task(operator, name="Theirs", groups=[web_group])
    for depends_on, reason in [
        (after("Nowhere"), "Not found: Nowhere"),
        (after("Theirs"), "Not found: Theirs"),  # by name, a task of its own owner's is meant
        (after("Other", task_id=str(there.pk)), "is “There” here, not “Other”"),
        (after("There") * 2, "names a task twice"),
        ([{"on": "success"}], "needs task_id or task_name"),
        (after("There", "sometimes"), "must be one of"),
        ("There", "must be a list"),
        (after("There") * 51, "at most 50"),
    ]:
        wrong = refusal(of(entry(web_group, depends_on=depends_on)), admin)
        assert list(wrong) == ["entry 1 “Disk space”, depends_on"], depends_on
        assert reason in str(wrong), depends_on
    by_id = [{"task_id": str(theirs.pk), "on": "success"}]
    assert actions(of(entry(web_group, depends_on=by_id)), admin) == ["create"]
    factories.task(admin, name="There")
    wrong = refusal(of(entry(web_group, depends_on=after("There"))), admin)
    assert "may mean several" in str(wrong)


def test_a_circle_is_refused_and_the_path_is_named(admin: User, web_group: DeviceGroup) -> None:
    wrong = refusal(
        of(
            entry(web_group, name="A", depends_on=after("C")),
            entry(web_group, name="B", depends_on=after("A")),
            entry(web_group, name="C", depends_on=after("B")),
            entry(web_group, name="D", depends_on=after("D")),
            entry(web_group, name="E", depends_on=after("A")),
        ),
        admin,
    )
    assert len(wrong) == 2
    assert "makes a circle: D → D." in str(wrong)
    (path,) = [said for (said,) in wrong.values() if "D" not in said]
    names = path.removeprefix("makes a circle: ").rstrip(".").split(" → ")
    assert names[0] == names[-1]
    start = names.index("A")
    assert (names[:-1] * 2)[start : start + 3] == ["A", "B", "C"]  # each is run by the one before


def test_a_circle_through_tasks_that_are_there_is_found(
    admin: User, web_group: DeviceGroup
) -> None:
    first = factories.task(admin, name="First")
    depends_on = [{"task_id": str(first.pk), "on": "success"}]
    factories.task(admin, name="Second", depends_on=depends_on)
    given = exported(first, user=admin)
    given["tasks"][0]["depends_on"] = after("Second")
    wrong = refusal(given, admin)
    assert "circle" in str(wrong)
    assert "First" in str(wrong)
    assert "Second" in str(wrong)


def test_a_link_may_be_turned_around(admin: User) -> None:
    """On the way there is no moment at which both directions are in force."""
    first = factories.task(admin, name="First")
    depends_on = [{"task_id": str(first.pk), "on": "success"}]
    second = factories.task(admin, name="Second", depends_on=depends_on)
    given = exported(first, second, user=admin)
    del given["tasks"][1]["depends_on"]
    given["tasks"][0]["depends_on"] = after("Second")
    steps = planned(given, admin).steps
    assert [[(one.field, one.after) for one in step.changes] for step in steps] == [
        [("depends_on", ["Second: success"])],
        [("depends_on", [])],
    ]
    imported(given, admin)
    assert links() == {("Second", "success", "First")}


def test_a_link_that_stays_keeps_the_moment_since_when_it_counts(admin: User) -> None:
    first = factories.task(admin, name="First")
    depends_on = [{"task_id": str(first.pk), "on": "success"}]
    second = factories.task(admin, name="Second", depends_on=depends_on)
    before = TaskDependency.objects.get()
    given = exported(second, user=admin)
    given["tasks"][0]["timeout_seconds"] = 60
    imported(given, admin)
    assert TaskDependency.objects.get().active_since == before.active_since


def test_nothing_runs_after_a_task_that_would_be_deleted(admin: User) -> None:
    first = factories.task(admin, name="First")
    depends_on = [{"task_id": str(first.pk), "on": "success"}]
    second = factories.task(admin, name="Second", depends_on=depends_on)
    given = exported(second, user=admin)
    assert "“First” would be deleted" in str(refusal(given, admin, prune=True))
    del given["tasks"][0]["depends_on"]
    assert actions(given, admin, prune=True) == ["change", "delete"]
    imported(given, admin, prune=True)
    assert [task.name for task in ScheduledTask.objects.all()] == ["Second"]


def test_a_task_of_somebody_elses_is_no_parent(
    operator: User, admin: User, web_group: DeviceGroup
) -> None:
    theirs = factories.task(admin, name="Theirs")
    depends_on = [{"task_id": str(theirs.pk), "task_name": "Theirs", "on": "success"}]
    assert "Not found" in str(refusal(of(entry(web_group, depends_on=depends_on)), operator))
