"""Choosing files for a task: what is ticked stays while somebody searches for more."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.sync_api import expect

from scheduling.catalogue import files
from tests.browser.conftest import Visitor


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
