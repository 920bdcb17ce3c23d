"""What of a task is kept to begin others from, and who may use and change it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from accounts.errors import InvalidInput, NotAllowed
from scheduling import templates
from scheduling.models import ScheduledTask, TaskTemplate
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def template(operator: User, task: ScheduledTask) -> TaskTemplate:
    return templates.create(operator, {"name": "Disk", **templates.of_task(task)})


def test_it_keeps_all_of_a_task(template: TaskTemplate, task: ScheduledTask) -> None:
    assert template.task_type == "command"
    assert template.definition["group_ids"] == task.group_ids
    assert template.definition["recurrence_config"] == task.recurrence_config
    assert template.definition["task_payload"] == task.task_payload
    assert "name" not in template.definition


def test_some_may_be_left_out(task: ScheduledTask) -> None:
    given = templates.of_task(task, leave_out=[*templates.WHERE, *templates.WHEN])
    assert not {"group_ids", "recurrence_type", "time_zone"} & given.keys()
    assert given["task_payload"] == task.task_payload


def test_any_of_a_tasks_fields_will_do(operator: User) -> None:
    made = templates.create(
        operator, {"name": "Slow", "task_type": "command", "timeout_seconds": 60}
    )
    assert made.definition == {"timeout_seconds": 60}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"rollout": {"strategy": "odd"}}, "rollout"),
        ({"task_payload": {"command": ""}}, "task_payload"),
        ({"command_payload": {"odd": 1}}, "command_payload"),
        ({"recurrence_type": "daily", "recurrence_config": {"time": "25:00"}}, "recurrence_config"),
        ({"recurrence_config": {"time": "02:00"}}, "recurrence_type"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"excluded_dates": ["2027-02-30"]}, "excluded_dates"),
        ({"start_at": "2027-01-01T00:00"}, "start_at"),
        (
            {"start_at": "2027-01-02T00:00:00Z", "end_at": "2027-01-01T00:00:00Z"},
            "end_at",
        ),
        ({"user_id": 1}, "user_id"),
        ({"depends_on": []}, "depends_on"),
        ({"shared": "yes"}, "shared"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_named(operator: User, wrong: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        templates.create(operator, {"name": "Slow", "task_type": "command", **wrong})
    assert list(refusal.value.errors) == [field]


def test_every_part_of_a_rule_that_is_wrong_is_named(operator: User) -> None:
    wrong = {"time_zone": "X", "excluded_dates": ["today"], "end_at": 5, "jitter_seconds": -1}
    with pytest.raises(InvalidInput) as refusal:
        templates.create(operator, {"name": "Slow", "task_type": "command", **wrong})
    assert refusal.value.errors.keys() == wrong.keys()


def test_another_type_does_not_keep_the_payload(template: TaskTemplate, operator: User) -> None:
    with pytest.raises(InvalidInput) as refusal:
        templates.update(template, operator, {"task_type": "file_deployment"}, partial=True)
    assert list(refusal.value.errors) == ["task_payload"]
    template.refresh_from_db()
    assert template.task_type == "command"


def test_another_recurrence_type_does_not_keep_the_rule(
    template: TaskTemplate, operator: User
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        templates.update(template, operator, {"recurrence_type": "weekly"}, partial=True)
    assert list(refusal.value.errors) == ["recurrence_config"]


def test_a_strategy_in_the_payload_is_the_rollouts(operator: User) -> None:
    payload = {"command_payload": {"command": "df", "strategy": "canary"}}
    made = templates.create(operator, {"name": "Slow", "task_type": "command", **payload})
    assert made.definition["rollout"]["strategy"] == "canary"
    payload["command_payload"]["strategy"] = "rolling"
    changed = templates.update(made, operator, payload, partial=True)
    assert changed.definition["rollout"]["strategy"] == "rolling"
    with pytest.raises(InvalidInput) as refusal:
        both = {**payload, "rollout": {"strategy": "canary"}}
        templates.update(changed, operator, both, partial=True)
    assert list(refusal.value.errors) == ["command_payload"]


def test_a_time_gone_by_may_stay_in_it(operator: User) -> None:
    once = {"recurrence_type": "once", "recurrence_config": {"run_at": "2020-01-01T00:00"}}
    made = templates.create(operator, {"name": "Then", "task_type": "command", **once})
    assert made.definition["recurrence_config"] == {"run_at": "2020-01-01T00:00"}


def test_a_rename_leaves_the_rest(template: TaskTemplate, operator: User) -> None:
    before = template.definition
    changed = templates.update(template, operator, {"name": "Disks"}, partial=True)
    assert (changed.name, changed.definition) == ("Disks", before)


def test_written_anew_it_holds_what_is_given(template: TaskTemplate, operator: User) -> None:
    given = {"name": "Disks", "task_type": "command", "max_runs": 3}
    assert templates.update(template, operator, given, partial=False).definition == {"max_runs": 3}


def test_another_payload_takes_the_place_of_the_old(template: TaskTemplate, operator: User) -> None:
    given = {"command_payload": {"command": "uptime"}}
    changed = templates.update(template, operator, given, partial=True)
    assert changed.definition["task_payload"]["command"] == "uptime"


def test_it_is_seen_by_its_owner_and_administrators_until_it_is_shared(
    template: TaskTemplate, operator: User, outsider: User, admin: User
) -> None:
    def seen() -> list[bool]:
        people = (operator, outsider, admin)
        return [TaskTemplate.objects.visible_to(one).exists() for one in people]

    assert seen() == [True, False, True]
    templates.update(template, operator, {"shared": True}, partial=True)
    assert seen() == [True, True, True]


def test_sharing_lets_nobody_else_change_it(
    template: TaskTemplate, operator: User, outsider: User
) -> None:
    templates.update(template, operator, {"shared": True}, partial=True)
    with pytest.raises(NotAllowed):
        templates.update(template, outsider, {"name": "Mine"}, partial=True)
    with pytest.raises(NotAllowed):
        templates.delete(template, outsider)
    assert TaskTemplate.objects.get().name == "Disk"


def test_it_outlives_the_devices_it_names(operator: User, admin: User) -> None:
    task = factories.task(admin, devices=[factories.device()])
    made = templates.create(admin, {"name": "Once", **templates.of_task(task)})
    made.definition["device_ids"] = ["0190aaaa-0000-7000-8000-000000000000"]
    made.save()
    assert templates.update(made, admin, {"name": "Twice"}, partial=True).name == "Twice"
