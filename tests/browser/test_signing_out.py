from __future__ import annotations

import re

from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.browser.conftest import Visitor


def test_signing_out_in_one_tab_ends_the_other(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    first = visitor.opens("/tasks/")
    visitor.waits_for_line()
    second = first.context.new_page()
    second.goto(visitor.address + "/devices/")
    second.get_by_role("button", name="Sign out").click()
    expect(first).to_have_url(re.compile(r"/accounts/login/\?next=/tasks/"))


def test_a_wrong_password_says_so_and_the_right_one_leads_in(
    visitor: Visitor, operator: User
) -> None:
    page = visitor.opens("/accounts/login/?next=/tasks/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Username")).to_have_value("operator")
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/tasks/$"))
