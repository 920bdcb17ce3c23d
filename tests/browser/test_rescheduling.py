"""Ticked tasks get one rule in the dialog, after it was seen what changes."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from tests.browser.accessibility import hard_to_use
from tests.browser.conftest import Visitor

OLD, NEW = "Every day at 02:00, UTC", "Every Friday at 02:00, UTC"


@pytest.fixture
def tasks(operator: User, web_group: DeviceGroup) -> list[ScheduledTask]:
    names = ("Backups", "Disk space", "Updates")
    return [factories.task(operator, groups=[web_group], name=name) for name in names]


def test_ticked_tasks_are_rescheduled_in_the_dialog_once_what_changes_was_seen(
    visitor: Visitor, tasks: list[ScheduledTask]
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/")
    for task in tasks[:2]:
        page.get_by_role("checkbox", name=task.name, exact=True).check()
    page.get_by_role("button", name="Reschedule…").click()
    dialog = page.get_by_role("dialog", name="Reschedule 2 tasks")
    for label in ("Weekly", "Friday"):
        dialog.locator(".toggles").get_by_text(label, exact=True).click()
    rows = dialog.locator("#changes tbody tr")
    expect(rows).to_have_text(
        [re.compile(f"{one.name}.*{OLD}.*{NEW}", re.DOTALL) for one in tasks[:2]]
    )
    assert hard_to_use(visitor) == []
    assert {one.recurrence_type for one in ScheduledTask.objects.all()} == {"daily"}
    dialog.get_by_role("button", name="Reschedule 2 tasks").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text(NEW)).to_have_count(2)
    rules = {one.name: one.recurrence_config for one in ScheduledTask.objects.all()}
    friday = {"time": "02:00", "days_of_week": [4], "every": 1}
    assert rules == {
        "Backups": friday,
        "Disk space": friday,
        "Updates": {"time": "02:00", "every": 1},
    }
