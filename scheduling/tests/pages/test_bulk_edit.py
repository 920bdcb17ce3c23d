"""Changing some fields of many tasks; what nobody chose stays as it is in each."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from devices.models import DeviceGroup
from scheduling import bulk
from scheduling.models import ScheduledTask, TaskChange
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    given: list[dict[str, Any]] = [
        {"name": "Backups", "tags": ["night"], "timeout_seconds": 60},
        {"name": "Disk space", "tags": ["daily"], "offline_policy": "fail"},
    ]
    return [factories.task(operator, groups=[web_group], **one) for one in given]


def edits(client: Client, tasks: list[ScheduledTask], **given: Any) -> Any:
    ids = " ".join(str(one.pk) for one in tasks)
    button = {"tasks": ids, "shown": "1", "confirmed": "1", "reach": "1"}
    answer = client.post("/tasks/bulk/edit", {**button, **given})
    for one in tasks:
        one.refresh_from_db()
    return answer


def said(answer: Any) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def test_only_what_was_chosen_changes(as_operator: Client, two: list[ScheduledTask]) -> None:
    answer = edits(as_operator, two, overlap_policy="queue_one", add_tags="fleet, night")
    assert said(answer) == ["2 tasks are changed."]
    assert [one.overlap_policy for one in two] == ["queue_one"] * 2
    assert [one.tags for one in two] == [["night", "fleet"], ["daily", "fleet", "night"]]
    assert [one.timeout_seconds for one in two] == [60, 3600]
    assert [one.offline_policy for one in two] == ["queue", "fail"]


def test_what_there_was_no_time_for_is_shown_with_what_was_typed(
    as_operator: Client, two: list[ScheduledTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST_SECONDS", -1.0)
    answer = edits(as_operator, two, overlap_policy="queue_one", add_tags="fleet")
    assert [one.overlap_policy for one in two] == ["queue_one", "skip"]
    for _look in range(2):
        page = as_operator.get(answer["Location"]).content.decode()
        assert "Change 1 task</button>" in page
        assert f'name="tasks" value="{two[1].pk}"' in page
        assert '<option value="queue_one" selected>' in page
        assert 'value="fleet"' in page


def test_lengths_are_typed_with_their_unit(as_operator: Client, two: list[ScheduledTask]) -> None:
    edits(as_operator, two, timeout_seconds="2", timeout_seconds_unit="hours")
    assert [one.timeout_seconds for one in two] == [7200, 7200]


def test_an_option_changes_alone(as_operator: Client, two: list[ScheduledTask]) -> None:
    edits(as_operator, two, max_concurrent="5", max_attempts="3")
    assert [(one.rollout["max_concurrent"], one.rollout["batch_size"]) for one in two] == [
        (5, "10%")
    ] * 2
    assert [one.retry["max_attempts"] for one in two] == [3, 3]


def test_groups_come_and_go(
    as_operator: Client, operator: User, web_group: DeviceGroup, two: list[ScheduledTask]
) -> None:
    other = factories.group("mail", devices=[factories.device()], people=[operator])
    edits(as_operator, two, add_groups=[str(other.pk)], remove_groups=[str(web_group.pk)])
    assert [one.group_ids for one in two] == [[str(other.pk)]] * 2


def test_more_devices_than_the_page_spoke_of_are_confirmed_once_more(
    as_operator: Client, operator: User, web_group: DeviceGroup, two: list[ScheduledTask]
) -> None:
    devices = [factories.device() for _number in range(3)]
    mail = factories.group("mail", devices=devices, people=[operator])
    asked = edits(as_operator, two, add_groups=[str(mail.pk)]).content.decode()
    assert "with these groups the tasks target 4 devices" in asked
    assert "2 tasks, 4 devices</summary>" in asked
    assert f'value="{mail.pk}" id="id_add_groups_0" checked' in asked
    assert [one.group_ids for one in two] == [[str(web_group.pk)]] * 2
    assert said(edits(as_operator, two, add_groups=[str(mail.pk)], reach="4")) == [
        "2 tasks are changed."
    ]
    assert [one.group_ids for one in two] == [[str(web_group.pk), str(mail.pk)]] * 2


def test_a_task_that_would_lose_every_target_is_left(
    as_operator: Client, web_group: DeviceGroup, two: list[ScheduledTask]
) -> None:
    answer = edits(as_operator, two, remove_groups=[str(web_group.pk)])
    assert len(said(answer)) == 2
    assert "Name at least one device or group." in said(answer)[0]
    assert [one.group_ids for one in two] == [[str(web_group.pk)]] * 2


def test_a_group_of_others_cannot_be_chosen(as_operator: Client, two: list[ScheduledTask]) -> None:
    other = factories.group("secret")
    answer = edits(as_operator, two, add_groups=[str(other.pk)])
    assert answer.status_code == 200
    assert "secret" not in answer.content.decode()


def test_nothing_chosen_is_nothing_changed(as_operator: Client, two: list[ScheduledTask]) -> None:
    answer = edits(as_operator, two)
    assert "Choose at least one thing to change." in answer.content.decode()


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(
    as_operator: Client, two: list[ScheduledTask]
) -> None:
    given = {"timeout_seconds": "99", "timeout_seconds_unit": "days", "add_tags": "fleet"}
    page = edits(as_operator, two, **given).content.decode()
    assert "must be a whole number from 1 to 86400." in page
    assert 'value="fleet"' in page
    assert not TaskChange.objects.filter(verb="edited").exists()


def test_an_administrator_hands_them_over_and_nobody_else(
    as_admin: Client, as_operator: Client, operator: User, two: list[ScheduledTask]
) -> None:
    heir = factories.person("heir")
    edits(as_operator, two, owner="heir", add_tags="x")
    assert [one.user for one in two] == [operator] * 2
    edits(as_admin, two, owner="heir")
    assert [one.user for one in two] == [heir] * 2


def test_each_change_is_kept_with_who_made_it(
    as_operator: Client, operator: User, two: list[ScheduledTask]
) -> None:
    edits(as_operator, two, misfire_policy="skip")
    kept = TaskChange.objects.filter(verb="edited", user=operator)
    assert [one.fields[0]["field"] for one in kept] == ["misfire_policy"] * 2


def test_searching_groups_keeps_what_was_typed(
    as_operator: Client, operator: User, two: list[ScheduledTask]
) -> None:
    factories.group("mail", people=[operator])
    ids = " ".join(str(one.pk) for one in two)
    given = {"tasks": ids, "shown": "1", "look": "1", "group_search": "mai", "add_tags": "fleet"}
    page = as_operator.post("/tasks/bulk/edit", given).content.decode()
    assert 'value="fleet"' in page
    assert "<span>mail</span>" in page
    assert "Choose at least one thing" not in page
