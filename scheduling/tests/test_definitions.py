"""What is accepted as a task's definition: every wrong field named, all in one answer."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.functional import SimpleLazyObject

from accounts.errors import InvalidInput, NotAllowed
from devices.models import Device, DeviceGroup
from scheduling import clock, definitions
from scheduling.models import ScheduledTask
from scheduling.tests import factories


def check(user: User, group: DeviceGroup, **changes: Any) -> dict[str, Any]:
    """The checked values of a valid definition with changes; None takes a field out."""
    given = factories.definition(groups=[group], **changes)
    given = {name: value for name, value in given.items() if value is not ...}
    return definitions.check(given, user=user, now=clock.now()).values


def errors(user: User, group: DeviceGroup, **changes: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as refusal:
        check(user, group, **changes)
    assert all(said for said in refusal.value.errors.values())
    return refusal.value.errors


WRONG: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "  "),
    ("name", "x" * 201),
    ("name", "two\nlines"),
    ("name", "bell\x07"),
    ("name", 5),
    ("name", ...),
    ("description", "x" * 10_001),
    ("tags", "web"),
    ("tags", ["x" * 51]),
    ("tags", [""]),
    ("tags", ["t"] * 51),
    ("task_type", "teleport"),
    ("task_type", ...),
    ("recurrence_type", "sometimes"),
    ("recurrence_type", ...),
    ("recurrence_config", ...),
    ("recurrence_config", {"time": "25:00"}),
    ("recurrence_config", []),
    ("time_zone", "Mars/Olympus"),
    ("time_zone", ""),
    ("start_at", "tomorrow"),
    ("start_at", "2027-01-01T00:00"),
    ("end_at", 5),
    ("max_runs", 0),
    ("max_runs", True),
    ("max_runs", "3"),
    ("jitter_seconds", -1),
    ("jitter_seconds", 90_000),
    ("excluded_dates", "2027-01-01"),
    ("excluded_dates", ["2027-02-30"]),
    ("device_ids", "all"),
    ("device_ids", ["not an id"]),
    ("device_ids", [str(uuid.uuid4())]),
    ("group_ids", [str(uuid.uuid4())]),
    ("group_ids", [str(uuid.uuid4())] * 101),
    ("group_ids", []),
    ("task_payload", ...),
    ("task_payload", {}),
    ("task_payload", {"command": ""}),
    ("task_payload", {"command": "df", "colour": "red"}),
    ("task_payload", "df -h"),
    ("depends_on", "task"),
    ("depends_on", [{"task_id": str(uuid.uuid4()), "on": "success"}]),
    ("depends_on", [{"task_id": str(uuid.uuid4())}]),
    ("depends_on", [5]),
    ("misfire_policy", "panic"),
    ("misfire_grace_seconds", -1),
    ("overlap_policy", None),
    ("offline_policy", 1),
    ("expires_after_seconds", 0),
    ("expires_after_seconds", 2_592_001),
    ("timeout_seconds", 0),
    ("timeout_seconds", 86_401),
    ("timeout_seconds", 1.5),
    ("rollout", {"strategy": "hope"}),
    ("rollout", {"colour": "red"}),
    ("rollout", "parallel"),
    ("rollout", {"batch_size": "0%"}),
    ("retry", {"max_attempts": 0}),
    ("retry", {"backoff_multiplier": 0.5}),
    ("retry", []),
    ("colour", "red"),
    ("status", "running"),
    ("id", "01a22908-1706-7b2a-99c8-262c2fe4d441"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_field_is_refused_under_its_name(
    operator: User, web_group: DeviceGroup, name: str, value: Any
) -> None:
    assert name in errors(operator, web_group, **{name: value})


def test_an_end_before_the_start_is_refused(operator: User, web_group: DeviceGroup) -> None:
    bounds = {"start_at": "2098-01-02T00:00:00Z", "end_at": "2098-01-01T00:00:00Z"}
    assert list(errors(operator, web_group, **bounds)) == ["end_at"]


def test_every_wrong_field_is_named_in_one_answer(operator: User, web_group: DeviceGroup) -> None:
    wrong = {
        "name": "", "tags": 1, "time_zone": "X", "timeout_seconds": 0, "task_payload": {},
        "start_at": "tomorrow", "excluded_dates": ["today"], "recurrence_type": "sometimes",
        "rollout": {"strategy": "x"}, "retry": 1, "depends_on": 1, "overlap_policy": "x",
        "group_ids": [str(uuid.uuid4())], "colour": 1,
    }  # fmt: skip
    assert errors(operator, web_group, **wrong).keys() == wrong.keys()


def test_what_is_left_out_gets_its_default(operator: User, web_group: DeviceGroup) -> None:
    values = check(operator, web_group)
    assert (values["time_zone"], values["timeout_seconds"]) == ("UTC", 3_600)
    assert (values["offline_policy"], values["expires_after_seconds"]) == ("queue", 86_400)
    assert (values["overlap_policy"], values["misfire_policy"]) == ("skip", "run_latest")
    assert (values["misfire_grace_seconds"], values["jitter_seconds"]) == (300, 0)
    assert values["rollout"]["strategy"] == "parallel"
    assert values["rollout"]["max_concurrent"] == 100
    assert values["retry"]["max_attempts"] == 1


def test_what_was_answered_is_accepted_again_and_changes_nothing(
    operator: User, task: ScheduledTask
) -> None:
    given = definitions.as_input(task)
    found = definitions.check(given, user=operator, now=clock.now(), task=task)
    assert {name: getattr(task, name) for name in found.values} == found.values


@pytest.mark.parametrize("name", ["task_payload", "command_payload"])
def test_the_payload_goes_by_either_name(operator: User, web_group: DeviceGroup, name: str) -> None:
    values = check(operator, web_group, **{"task_payload": ..., name: {"command": "df"}})
    assert values["task_payload"]["command"] == "df"
    wrong = errors(operator, web_group, **{"task_payload": ..., name: {"command": ""}})
    assert list(wrong) == [name]


def test_two_payloads_are_refused_under_both_names(operator: User, web_group: DeviceGroup) -> None:
    wrong = errors(operator, web_group, command_payload={"command": "df"})
    assert wrong.keys() == {"task_payload", "command_payload"}


def test_a_strategy_in_the_payload_is_the_rollouts(operator: User, web_group: DeviceGroup) -> None:
    payload = {"command": "df", "strategy": "canary"}
    values = check(operator, web_group, task_payload=payload)
    assert values["rollout"]["strategy"] == "canary"
    assert "strategy" not in values["task_payload"]
    rollout = {"strategy": "rolling"}
    wrong = errors(operator, web_group, task_payload=payload, rollout=rollout)
    assert list(wrong) == ["task_payload"]


def test_a_strategy_in_the_payload_takes_the_place_of_one_that_was_kept(
    operator: User, task: ScheduledTask
) -> None:
    def edited(**changes: Any) -> dict[str, Any]:
        found = definitions.check(
            changes, user=operator, now=clock.now(), task=task, partial=True
        ).values["rollout"]
        return {name: found[name] for name in ("strategy", "max_concurrent")}

    task.rollout = {**task.rollout, "max_concurrent": 7}
    payload = {"command": "df", "strategy": "canary"}
    assert edited(command_payload=payload) == {"strategy": "canary", "max_concurrent": 7}
    given = {"max_concurrent": 5}
    assert edited(command_payload=payload, rollout=given) == {"strategy": "canary", **given}
    with pytest.raises(InvalidInput) as refusal:
        edited(command_payload=payload, rollout={"strategy": "parallel"})
    assert list(refusal.value.errors) == ["command_payload"]


def test_a_transactional_rollout_needs_its_way_back(operator: User, web_group: DeviceGroup) -> None:
    rollout = {"strategy": "transactional"}
    assert "task_payload" in errors(operator, web_group, rollout=rollout)
    payload = {"command": "up", "rollback_command": "down"}
    check(operator, web_group, rollout=rollout, task_payload=payload)


def test_the_kind_of_a_task_never_changes(operator: User, task: ScheduledTask) -> None:
    with pytest.raises(InvalidInput) as refusal:
        definitions.check(
            {"task_type": "file_deployment"},
            user=operator,
            now=clock.now(),
            task=task,
            partial=True,
        )
    assert "task_type" in refusal.value.errors


def test_targets_one_does_not_see_are_not_there(
    outsider: User, web_group: DeviceGroup, web_device: Device
) -> None:
    wrong = errors(outsider, web_group, device_ids=[str(web_device.pk)])
    assert wrong["group_ids"] == [f"Not found: {web_group.pk}."]
    assert wrong["device_ids"] == [f"Not found: {web_device.pk}."]


def test_a_target_lost_meanwhile_is_a_refusal_not_a_mistake(
    operator: User, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    web_group.people.clear()
    with pytest.raises(NotAllowed):
        definitions.check({"name": "New"}, user=operator, now=clock.now(), task=task, partial=True)


def test_a_task_of_somebody_elses_is_no_parent(
    operator: User, admin: User, web_group: DeviceGroup
) -> None:
    foreign = factories.task(admin)
    links = [{"task_id": str(foreign.pk), "on": "success"}]
    assert "Not found" in errors(operator, web_group, depends_on=links)["depends_on"][0]


def test_one_that_it_has_already_is_kept(operator: User, admin: User, task: ScheduledTask) -> None:
    foreign = factories.task(admin)
    links = [{"task_id": str(foreign.pk), "on": "success"}]
    definitions.check({"depends_on": links}, user=admin, now=clock.now(), task=task, partial=True)
    task.dependencies.create(parent=foreign, on="success")
    found = definitions.check(
        {"name": "New"}, user=operator, now=clock.now(), task=task, partial=True
    )
    assert found.depends_on == links


@pytest.mark.parametrize("lazily", [False, True])
def test_only_an_administrator_hands_a_task_over(
    operator: User, admin: User, task: ScheduledTask, lazily: bool
) -> None:
    """`request.user` is a lazy object, and has to do as well."""
    given = {"user_id": admin.pk}
    by_operator = definitions.check(given, user=operator, now=clock.now(), task=task, partial=True)
    assert "user_id" not in by_operator.values
    user: Any = SimpleLazyObject(lambda: admin) if lazily else admin
    by_admin = definitions.check(given, user=user, now=clock.now(), task=task, partial=True)
    assert by_admin.values["user_id"] == admin.pk
    with pytest.raises(InvalidInput) as refusal:
        definitions.check(
            {"user_id": 2**31 - 1}, user=admin, now=clock.now(), task=task, partial=True
        )
    assert list(refusal.value.errors) == ["user_id"]
