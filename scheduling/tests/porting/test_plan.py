"""What an import would do, and all it refuses to guess."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from accounts.errors import StateConflict
from accounts.uuid7 import uuid7
from devices import fleet
from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.porting import apply
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


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (None, {"document"}),
        ([], {"document"}),
        ("tasks", {"document"}),
        ({}, {"version", "tasks"}),
        ({"version": 2, "tasks": []}, {"version"}),
        ({"version": True, "tasks": []}, {"version"}),
        ({"version": 1, "tasks": {}, "more": 1}, {"tasks", "more"}),
    ],
)
def test_what_is_no_document_is_refused(admin: User, given: object, wrong: set[str]) -> None:
    assert set(refusal(given, admin)) == wrong


def test_every_wrong_entry_and_field_is_named_at_once(admin: User, web_group: DeviceGroup) -> None:
    wrong = refusal(
        of(
            entry(web_group, name="Fine"),
            entry(web_group, name="Wrong", max_runs="010", recurrence_config={"time": "25:00"}),
            "no entry",  # type: ignore[arg-type]
            entry(None, name="Nowhere", colour="red"),
            entry(web_group, name="Mine", owner="nobody", id=str(uuid4()), paused="yes"),
        ),
        admin,
    )
    fields = {name.rpartition(", ")[::2] for name in wrong}
    assert fields >= {
        ("entry 2 “Wrong”", "max_runs"),
        ("entry 2 “Wrong”", "recurrence_config"),
        ("entry 3", "entry"),
        ("entry 4 “Nowhere”", "devices"),
        ("entry 4 “Nowhere”", "colour"),
        ("entry 5 “Mine”", "owner"),
        ("entry 5 “Mine”", "id"),
        ("entry 5 “Mine”", "paused"),
    }
    assert not any(label.startswith("entry 1") for label, _field in fields)


def test_nothing_is_written_where_one_entry_is_wrong(admin: User, web_group: DeviceGroup) -> None:
    refusal(of(entry(web_group), entry(web_group, name="")), admin)
    assert not ScheduledTask.objects.exists()


def test_names_of_the_api_that_mean_nothing_elsewhere_are_refused(
    admin: User, web_group: DeviceGroup
) -> None:
    given = entry(web_group, device_ids=[], group_ids=[], user_id=1)
    wrong = refusal(of(given), admin)
    assert {name.rpartition(", ")[2] for name in wrong} == {"device_ids", "group_ids", "user_id"}
    assert "“groups”" in str(wrong)


# Which task is meant


def test_a_task_is_found_by_its_id_whatever_its_name(admin: User, task: ScheduledTask) -> None:
    given = exported(task, user=admin)
    given["tasks"][0] |= {"name": "Renamed", "timeout_seconds": 60}
    (step,) = planned(given, admin).steps
    assert (step.action, step.task_id) == ("change", task.pk)
    assert {(one.field, one.before, one.after) for one in step.changes} == {
        ("name", "Disk space", "Renamed"),
        ("timeout_seconds", 3_600, 60),
    }
    imported(given, admin)
    task.refresh_from_db()
    assert (task.name, task.timeout_seconds) == ("Renamed", 60)
    assert actions(given, admin) == ["keep"]


def test_else_by_a_name_that_its_owner_has_once(
    admin: User, operator: User, task: ScheduledTask
) -> None:
    factories.task(admin, name=task.name)
    given = exported(task, user=admin)
    given["tasks"][0] |= {"id": str(uuid7()), "timeout_seconds": 60}
    (step,) = planned(given, admin).steps
    assert (step.action, step.task_id) == ("change", task.pk)
    factories.task(operator, name=task.name, devices=task_devices(task))
    assert "give the id" in str(refusal(given, admin))


def task_devices(task: ScheduledTask) -> list[Any]:
    return list(DeviceGroup.objects.get(pk=task.group_ids[0]).devices.all())


def test_what_is_left_out_goes_back_to_its_default(admin: User, web_group: DeviceGroup) -> None:
    task = factories.task(admin, groups=[web_group], tags=["a"], timeout_seconds=60)
    (step,) = planned(of(entry(web_group)), admin).steps
    assert {one.field for one in step.changes} == {"tags", "timeout_seconds"}
    imported(of(entry(web_group)), admin)
    task.refresh_from_db()
    assert (task.tags, task.timeout_seconds) == ([], 3_600)


def test_a_task_of_the_same_name_that_another_entry_has_by_id_is_not_meant_twice(
    admin: User, web_group: DeviceGroup
) -> None:
    task = factories.task(admin, name="Old", groups=[web_group])
    given = of(entry(web_group, id=str(task.pk), name="New"), entry(web_group, name="Old"))
    assert actions(given, admin) == ["change", "create"]


def test_two_entries_of_one_name_need_ids(admin: User, web_group: DeviceGroup) -> None:
    wrong = refusal(of(entry(web_group), entry(web_group, id=str(uuid7()))), admin)
    assert all("both need their ids" in str(messages) for messages in wrong.values())
    both = of(entry(web_group, id=str(uuid7())), entry(web_group, id=str(uuid7())))
    assert actions(both, admin) == ["create", "create"]
    imported(both, admin)
    assert actions(both, admin) == ["keep", "keep"]


def test_an_id_may_be_there_once(admin: User, web_group: DeviceGroup) -> None:
    one = str(uuid7())
    wrong = refusal(of(entry(web_group, id=one), entry(web_group, name="B", id=one)), admin)
    assert [name.rpartition(", ")[2] for name in wrong] == ["id", "id"]


def test_an_id_that_somebody_elses_task_has_is_not_taken(
    admin: User, operator: User, web_group: DeviceGroup
) -> None:
    theirs = factories.task(admin)
    given = of(entry(web_group, id=str(theirs.pk)))
    (step,) = planned(given, operator).steps
    assert (step.action, step.task_id) == ("create", None)
    (made,) = imported(given, operator)
    assert made.pk != theirs.pk
    assert made.user == operator


def test_a_task_keeps_its_kind(admin: User, task: ScheduledTask) -> None:
    given = exported(task, user=admin)
    given["tasks"][0]["task_type"] = "software_deployment"
    assert "task_type" in str(refusal(given, admin))


def test_a_new_task_is_not_made_in_the_future(admin: User, web_group: DeviceGroup) -> None:
    wrong = refusal(of(entry(web_group, created_at="2199-01-01T00:00:00Z")), admin)
    assert list(wrong) == ["entry 1 “Disk space”, created_at"]


# Devices and groups


def test_a_device_is_found_by_id_else_by_its_name(admin: User) -> None:
    device = factories.device("db-1")
    pk = str(device.pk)
    for named in (
        {"id": pk},
        {"name": "db-1"},
        {"id": pk, "name": "db-1"},
        {"id": str(uuid4()), "name": "db-1"},
    ):
        (made,) = imported(of(entry(name=str(named), devices=[named])), admin)
        assert made.device_ids == [str(device.pk)], named


def test_a_device_that_may_be_another_one_is_refused(admin: User) -> None:
    device = factories.device("db-1")
    for named, reason in [
        ({"id": str(device.pk), "name": "web-1"}, "is “db-1” here, not “web-1”"),
        ({"name": "db-2"}, "Not found: db-2"),
        ({"id": str(uuid4())}, "Not found"),
        ({}, "needs id or name"),
        ({"name": "db-1", "os": "linux"}, "nothing else"),
        ({"id": "db-1"}, "not an id"),
        ("db-1", "nothing else"),
    ]:
        wrong = refusal(of(entry(devices=[named])), admin)
        assert list(wrong) == ["entry 1 “Disk space”, devices"], named
        assert reason in str(wrong), named
    factories.device("db-1")
    assert "may mean any of" in str(refusal(of(entry(devices=[{"name": "db-1"}])), admin))


def test_a_device_that_was_revoked_since_stays_a_target(admin: User) -> None:
    device = factories.device("db-1")
    task = factories.task(admin, devices=[device, factories.device("db-2")])
    given = exported(task, user=admin)
    fleet.revoke(device, admin)
    assert actions(given, admin) == ["keep"]
    schedules.delete(task, admin)
    assert "Not found: db-1" in str(refusal(given, admin))


# Whose


def test_an_administrator_imports_for_others(admin: User, operator: User) -> None:
    given = of(entry(factories.group(), owner="operator"))
    (made,) = imported(given, admin)
    assert made.user == operator
    given["tasks"][0]["owner"] = "admin"
    (step,) = planned(exported(made, user=admin), admin).steps
    assert step.action == "keep"
    handed = exported(made, user=admin)
    handed["tasks"][0]["owner"] = "admin"
    (step,) = planned(handed, admin).steps
    assert [(one.field, one.before, one.after) for one in step.changes] == [
        ("owner", "operator", "admin")
    ]
    imported(handed, admin)
    made.refresh_from_db()
    assert made.user == admin


def test_an_owner_who_is_deactivated_gets_nothing_new(admin: User, operator: User) -> None:
    User.objects.filter(pk=operator.pk).update(is_active=False)
    wrong = refusal(of(entry(factories.group(), owner="operator")), admin)
    assert "deactivated" in str(wrong)


def test_an_operator_imports_their_own_alone(
    operator: User, admin: User, web_group: DeviceGroup
) -> None:
    assert imported(of(entry(web_group, owner="operator")), operator)[0].user == operator
    for owner in ("admin", "nobody"):
        wrong = refusal(of(entry(web_group, name="B", owner=owner)), operator)
        assert wrong == {
            "entry 1 “B”, owner": ["Only an administrator imports another person's tasks."]
        }


def test_an_operator_needs_the_right_on_each_target(
    operator: User, admin: User, task: ScheduledTask
) -> None:
    others = factories.group("db")
    assert "Not found: db" in str(refusal(of(entry(others)), operator))
    given = exported(task, user=operator)
    given["tasks"][0]["timeout_seconds"] = 60
    operator.device_groups.clear()
    assert "You may not use every target" in str(refusal(given, operator))


def test_the_outsider_exports_nothing_and_finds_nothing(
    outsider: User, task: ScheduledTask, admin: User
) -> None:
    given = exported(task, user=admin)
    assert exported(*ScheduledTask.objects.visible_to(outsider), user=outsider)["tasks"] == []
    wrong = refusal(given, outsider)
    assert {name.rpartition(", ")[2] for name in wrong} == {"owner", "groups"}


# Paused


def test_a_pause_is_brought_along_and_only_lifted_when_the_file_says_so(
    admin: User, task: ScheduledTask
) -> None:
    given = exported(task, user=admin)
    schedules.pause(task, admin)
    assert actions(given, admin) == ["keep"]
    given["tasks"][0]["paused"] = False
    (step,) = planned(given, admin).steps
    assert [(one.field, one.before, one.after) for one in step.changes] == [("paused", True, False)]
    imported(given, admin)
    task.refresh_from_db()
    assert task.next_run_time is not None
    given["tasks"][0]["paused"] = True
    imported(given, admin)
    task.refresh_from_db()
    assert task.is_paused


# What goes


def test_only_prune_deletes_and_it_says_what_goes_along(
    admin: User, operator: User, task: ScheduledTask
) -> None:
    gone = factories.task(operator, name="Gone", devices=task_devices(task))
    execution = factories.execution(gone)
    factories.run(execution)
    factories.execution(gone, status="success")
    depends_on = [{"task_id": str(gone.pk), "on": "success"}]
    factories.task(admin, name="Dependent", depends_on=depends_on)
    given = exported(task, user=admin)
    assert actions(given, admin) == ["keep"]
    plan = planned(given, admin, prune=True)
    assert [(step.action, step.name) for step in plan.steps] == [
        ("keep", task.name),
        ("delete", "Gone"),
    ]
    loss = plan.steps[1].loss
    assert loss is not None
    assert (loss.executions, loss.runs_under_way, loss.dependents) == (2, 1, ("Dependent",))
    imported(given, admin, prune=True)
    assert not ScheduledTask.objects.filter(pk=gone.pk).exists()
    execution.refresh_from_db()
    assert execution.task_name == "Gone"


def test_prune_leaves_the_tasks_of_people_the_file_does_not_name(
    admin: User, task: ScheduledTask
) -> None:
    mine = factories.task(admin, name="Mine")
    assert actions(exported(mine, user=admin), admin, prune=True) == ["keep"]
    assert actions(of(), admin, prune=True) == ["delete"]
    both = exported(mine, task, user=admin)
    assert actions(both, admin, prune=True) == ["keep", "keep"]


def test_an_operator_prunes_their_own_alone(
    operator: User, admin: User, task: ScheduledTask
) -> None:
    factories.task(admin, name="Theirs")
    imported(of(), operator, prune=True)
    assert [one.name for one in ScheduledTask.objects.all()] == ["Theirs"]


# Between plan and deed


def test_a_plan_that_does_not_hold_any_more_is_not_carried_out(
    admin: User, task: ScheduledTask
) -> None:
    given = exported(task, user=admin)
    given["tasks"][0]["timeout_seconds"] = 60
    plan = planned(given, admin)
    schedules.update(task, admin, {"name": "Renamed meanwhile"}, partial=True)
    with pytest.raises(StateConflict, match="Look again"):
        apply.carry_out(plan, admin)
    task.refresh_from_db()
    assert task.timeout_seconds == 3_600


def test_that_a_task_runs_meanwhile_makes_no_other_plan_of_its_deletion(
    admin: User, task: ScheduledTask
) -> None:
    factories.execution(task, status="success")
    plan = planned(of(), task.user, prune=True)
    factories.run(factories.execution(task))
    apply.carry_out(plan, task.user)
    assert not ScheduledTask.objects.filter(pk=task.pk).exists()


def test_an_import_is_whole_or_not_at_all(
    admin: User, web_group: DeviceGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(of(entry(web_group), entry(web_group, name="Second")), admin)
    create = schedules.create

    def fails(user: User, data: Any, **options: Any) -> ScheduledTask:
        if data["name"] == "Second":
            raise RuntimeError("the database went away")
        return create(user, data, **options)

    monkeypatch.setattr(schedules, "create", fails)
    with pytest.raises(RuntimeError):
        apply.carry_out(plan, admin)
    assert not ScheduledTask.objects.exists()


def test_a_warning_about_a_rule_is_told(admin: User, web_group: DeviceGroup) -> None:
    over = entry(
        web_group, recurrence_type="once", recurrence_config={"run_at": "2020-01-31T02:00"}
    )
    (step,) = planned(of(over), admin).steps
    assert step.warnings == ("Every run of this rule lies in the past.",)
