"""A task is opened in the form and saved, as a person does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from accounts import tokens
from devices.models import DeviceGroup
from scheduling import schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from tests.browser.accessibility import hard_to_read
from tests.browser.conftest import Visitor

RESCHEDULE = "/tasks/bulk/reschedule?task="
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


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_a_task_is_previewed_as_it_will_run_where_it_is_edited_and_rescheduled(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(
        operator,
        groups=[web_group],
        recurrence_type="interval",
        recurrence_config={"every": 1, "unit": "weeks"},
        time_zone="Europe/Berlin",
    )
    week, made = timedelta(weeks=1), task.created_at
    ScheduledTask.objects.filter(pk=task.pk).update(created_at=made - week / 2)
    visitor.signs_in("operator")
    for address, every in ((f"/tasks/{task.pk}/edit", 2), (RESCHEDULE + str(task.pk), 3)):
        page = visitor.opens(address)
        first = page.locator("#preview li > span:first-child time").first
        expect(first).to_have_attribute("datetime", as_shown(made + week / 2))
        page.get_by_label("Every", exact=True).fill(str(every))
        expect(first).to_have_attribute("datetime", as_shown(made + (every - 0.5) * week))


def as_shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_what_others_changed_meanwhile_is_said_before_it_is_undone(
    visitor: Visitor, operator: User, admin: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    page = visitor.opens(f"/tasks/{task.pk}/edit")
    page.get_by_label("Name", exact=True).fill("Disks")
    changed = {"recurrence_config": {"time": "03:30"}, "tags": ["night"]}
    schedules.update(task, admin, changed, partial=True)
    page.get_by_role("button", name="Save").click()
    said = page.get_by_role("alert").filter(has_text="this was changed meanwhile")
    expect(said).to_contain_text("by admin")
    expect(said).to_contain_text("Every day at 03:30, UTC")
    assert not hard_to_read(visitor)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Disks")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    task.refresh_from_db()
    assert (task.name, task.recurrence_config["time"]) == ("Disks", "02:00")
