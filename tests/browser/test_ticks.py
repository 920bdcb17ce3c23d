"""What is ticked among files and software, while the list is searched and sorted."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from scheduling.catalogue import files
from scheduling.tests import factories
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def catalogue(admin: User, operator: User) -> None:
    for name in ("motd", "issue", "hosts"):
        files.create(operator, {"name": name}, iter([name.encode()]), len(name))
        factories.software(admin, name=name, category="Tools")


def test_ticked_files_outlive_a_search_and_a_sort_and_are_counted(
    visitor: Visitor, operator: User
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/files/")
    expect(page.get_by_text("none ticked")).to_be_visible()
    for name in ("motd", "issue"):
        page.get_by_label(f"Choose {name}").check()
    expect(page.get_by_text("2 ticked")).to_be_visible()
    page.get_by_label("Sort by").select_option("name")
    expect(page).to_have_url(re.compile("sort=name"))
    expect(page.get_by_label("Choose issue")).to_be_checked()
    expect(page.get_by_text("2 ticked")).to_be_visible()
    page.get_by_label("Search by name").fill("mot")
    expect(page.get_by_label("Choose issue")).to_have_count(0)
    expect(page.get_by_label("Choose motd")).to_be_checked()
    expect(page.get_by_text("1 ticked")).to_be_visible()
    page.get_by_role("button", name="Deploy files…").click()
    chosen = page.get_by_role("group", name="Files", exact=True)
    expect(chosen.get_by_role("checkbox", checked=True)).to_have_count(1)


def test_ticked_software_outlives_a_search_and_is_counted(visitor: Visitor, admin: User) -> None:
    visitor.signs_in("admin")
    page = visitor.opens("/software/")
    page.get_by_label("Choose motd").check()
    page.get_by_label("Category").select_option("Tools")
    expect(page).to_have_url(re.compile("category=Tools"))
    expect(page.get_by_label("Choose motd")).to_be_checked()
    page.get_by_label("Choose hosts").check()
    expect(page.get_by_text("2 ticked")).to_be_visible()
