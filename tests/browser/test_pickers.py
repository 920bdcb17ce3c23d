"""Choosing files for a task, and tasks for it to run after: what is ticked stays while somebody
searches for more."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling.catalogue import files
from scheduling.tests import factories
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.thorough


def test_a_ticked_file_stays_while_others_are_searched_for(
    visitor: Visitor, operator: User
) -> None:
    for number in range(14):
        files.create(operator, {"name": f"file-{number:02}"}, iter([b"x"]), 1)
    visitor.signs_in("operator")
    page = visitor.opens("/tasks/new")
    page.get_by_text("File deployment").click()
    picker = page.get_by_role("group", name="Files", exact=True)
    picker.get_by_label("file-13").check()
    expect(picker.locator("strong")).to_have_text("file-13")
    search = picker.get_by_label("Search: Files")
    search.fill("file-00")
    expect(picker.get_by_role("checkbox")).to_have_count(2)
    expect(search).to_be_focused()
    expect(picker.get_by_label("file-13")).to_be_checked()
    expect(picker.get_by_label("file-00")).not_to_be_checked()


def test_a_task_is_made_to_run_after_another(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    backups = factories.task(operator, groups=[web_group], name="Backups")
    report = factories.by_hand(operator, groups=[web_group], name="Report")
    visitor.signs_in("operator")
    page = visitor.opens(f"/tasks/{report.pk}/edit")
    picker = page.get_by_role("group", name="Runs after these tasks as well")
    expect(picker.get_by_role("checkbox")).to_have_count(0)
    picker.get_by_label("Search: Runs after these tasks as well").fill("back")
    picker.get_by_label("Backups").check()
    picker.get_by_label("On which end of Backups").select_option("On failure")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Runs after Backups (on failure)").wait_for()
    assert report.dependencies.get().parent == backups
