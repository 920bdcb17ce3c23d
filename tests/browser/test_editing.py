"""A task is opened in the form and saved, as a person does it."""

from __future__ import annotations

from typing import Any

import httpx
from django.contrib.auth.models import User
from playwright.sync_api import expect

from accounts import tokens
from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from tests.browser.conftest import Visitor

KEY = "-----BEGIN-----\nabc\n-----END-----\n"


def make(visitor: Visitor, user: User, **fields: Any) -> ScheduledTask:
    """By the API, which takes what the form would not be given."""
    token = tokens.issue(user, "test", ["tasks:write"])[1]
    answer = httpx.post(
        f"{visitor.address}/api/schedule/tasks",
        json={
            "name": "Certificates",
            "task_type": "command",
            "recurrence_type": "daily",
            "recurrence_config": {"time": "02:00"},
            **fields,
        },
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    return ScheduledTask.objects.get(pk=answer.json()["id"])


def test_a_value_of_several_lines_and_a_tag_with_a_comma_outlive_the_form(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    payload = {"command": "a\r\nb", "environment": {"KEY": KEY, "FIRST": "\nx"}}
    task = make(
        visitor,
        operator,
        task_payload=payload,
        tags=["x, y", "z"],
        group_ids=[str(web_group.pk)],
    )
    before = task.task_payload
    visitor.signs_in("operator")
    page = visitor.opens(f"/tasks/{task.pk}/edit")
    page.get_by_text("How it runs").click()
    expect(page.get_by_label("Environment: value 1")).to_have_value(KEY)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    task.refresh_from_db()
    assert (task.task_payload, task.tags) == (before, ["x, y", "z"])


def test_there_is_one_more_pair_whenever_one_is_asked_for(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = make(visitor, operator, task_payload={"command": "env"}, group_ids=[str(web_group.pk)])
    visitor.signs_in("operator")
    page = visitor.opens(f"/tasks/{task.pk}/edit")
    page.get_by_text("How it runs").click()
    more = page.locator("[data-more='list_command-environment']")
    for number in range(1, 5):
        if number > 2:
            more.click()
        page.get_by_label(f"Environment: name {number}").fill(f"N{number}")
        page.get_by_label(f"Environment: value {number}").fill(f"{number}\n{number}")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    task.refresh_from_db()
    assert task.task_payload["environment"] == {f"N{n}": f"{n}\n{n}" for n in range(1, 5)}
