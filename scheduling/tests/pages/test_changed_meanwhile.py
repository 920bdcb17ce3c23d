"""A form that was left open does not undo what others changed meanwhile without a word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices import fleet, groups
from scheduling import opening, schedules, templates
from scheduling.catalogue import files, software
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store
from scheduling.tests.pages.sending import Sent, sent

pytestmark = pytest.mark.django_db
NEW_EACH_TIME = ("known", "once", "csrfmiddlewaretoken")
SAID = "this was changed meanwhile"


def opened(client: Client, address: str) -> Sent:
    answer = client.get(address)
    assert SAID not in answer.content.decode()
    return sent(answer)


@pytest.fixture
def edit(task: ScheduledTask) -> str:
    return f"/tasks/{task.pk}/edit"


def by_admin(admin: User, task: ScheduledTask) -> None:
    changed = {
        "recurrence_config": {"time": "03:30"},
        "task_payload": {"command": "df", "environment": {"KEY": "secret"}},
        "tags": ["night"],
    }
    schedules.update(task, admin, changed, partial=True)


def test_the_first_press_says_who_changed_what_and_the_second_saves(
    as_operator: Client, admin: User, task: ScheduledTask, edit: str
) -> None:
    data = opened(as_operator, edit) | {"name": ["Disks"]}
    by_admin(admin, task)
    answer = as_operator.post(edit, data)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert SAID in page
    assert "by admin" in page
    assert set(answer.context["known"].labels) == {
        "Schedule", "Tags", "Commands", "Environment: KEY",
    }  # fmt: skip
    for shown in ("Every day at 03:30, UTC", "night", 'value="Disks"'):
        assert shown in page
    assert "secret" not in page
    task.refresh_from_db()
    assert (task.name, task.tags) == ("Disk space", ["night"])
    again = sent(answer)
    assert again == data | {name: again[name] for name in NEW_EACH_TIME}
    assert as_operator.post(edit, again).status_code == 302
    task.refresh_from_db()
    assert (task.name, task.tags) == ("Disks", [])
    assert task.task_payload["commands"] == ["echo hello"]


def test_another_change_before_the_second_press_is_said_as_well(
    as_operator: Client, admin: User, task: ScheduledTask, edit: str
) -> None:
    data = opened(as_operator, edit)
    by_admin(admin, task)
    again = sent(as_operator.post(edit, data))
    schedules.update(task, admin, {"description": "Nightly"}, partial=True)
    answer = as_operator.post(edit, again)
    assert answer.context["known"].labels == ["Description"]


def test_a_look_between_forgets_nothing(
    as_operator: Client, admin: User, task: ScheduledTask, edit: str
) -> None:
    data = opened(as_operator, edit)
    by_admin(admin, task)
    looked = as_operator.post(edit, data | {"look": ["1"]})
    assert SAID not in looked.content.decode()
    assert SAID in as_operator.post(edit, sent(looked)).content.decode()


def test_what_a_form_does_not_hold_is_no_change(
    as_operator: Client, admin: User, task: ScheduledTask, edit: str
) -> None:
    data = opened(as_operator, edit) | {"name": ["Disks"]}
    factories.make_due(task, ago=timedelta(seconds=5))
    assert opening.open_due(task.pk, None, "worker") is not None
    schedules.pause(task, admin)
    assert as_operator.post(edit, data).status_code == 302
    task.refresh_from_db()
    assert (task.name, task.is_paused) == ("Disks", True)


@pytest.mark.parametrize("known", ["", "nonsense", "[]", "[" * 100_000, '{"oddly": "named"}'])
def test_marks_that_are_none_are_no_error(
    as_operator: Client, task: ScheduledTask, edit: str, known: str
) -> None:
    data = opened(as_operator, edit) | {"known": [known]}
    answer = as_operator.post(edit, data)
    assert SAID in answer.content.decode()
    assert as_operator.post(edit, sent(answer)).status_code == 302


def a_device(admin: User) -> tuple[str, Callable[[], Any], str, Callable[[], str]]:
    device = factories.device("web-9")

    def change() -> None:
        fleet.describe(device, admin, {"tags": {"site": "Berlin"}})

    return f"/devices/{device.pk}/edit", change, "Tags", lambda: str(_fresh(device).tags)


def a_group(admin: User) -> tuple[str, Callable[[], Any], str, Callable[[], str]]:
    group = factories.group("lobby")

    def change() -> None:
        groups.update(group, admin, {"description": "Berlin"}, partial=True)

    return f"/groups/{group.pk}/edit", change, "Description", lambda: _fresh(group).description


def an_entry(admin: User) -> tuple[str, Callable[[], Any], str, Callable[[], str]]:
    entry = factories.software(admin)

    def change() -> None:
        software.update(entry, admin, {"publisher": "Berlin"}, partial=True)

    return f"/software/{entry.pk}/edit", change, "Publisher", lambda: _fresh(entry).publisher


def a_template(admin: User) -> tuple[str, Callable[[], Any], str, Callable[[], str]]:
    template = templates.create(admin, {"name": "Disk", "task_type": "command"})

    def change() -> None:
        templates.update(template, admin, {"description": "Berlin"}, partial=True)

    return (
        template.get_absolute_url(),
        change,
        "Description",
        lambda: _fresh(template).description,
    )


@pytest.mark.parametrize("make", [a_device, a_group, an_entry, a_template])
def test_other_forms_say_so_too(as_admin: Client, admin: User, make: Any) -> None:
    says_so(as_admin, *make(admin))


def test_the_form_of_a_file_says_so_too(as_admin: Client, admin: User, stored: Store) -> None:
    file = stored()

    def change() -> None:
        files.update(file, admin, {"description": "Berlin"})

    says_so(
        as_admin,
        f"/files/{file.pk}/edit",
        change,
        "Description",
        lambda: _fresh(file).description,
    )


def says_so(
    as_admin: Client, address: str, change: Callable[[], Any], label: str, now: Callable[[], str]
) -> None:
    data = opened(as_admin, address)
    change()
    answer = as_admin.post(address, data)
    assert answer.context["known"].labels == [label]
    assert f"Changed: {label}" in answer.content.decode()
    assert "Berlin" in now()
    assert as_admin.post(address, sent(answer)).status_code == 302
    assert "Berlin" not in now()


def _fresh(thing: Any) -> Any:
    return type(thing).objects.get(pk=thing.pk)
