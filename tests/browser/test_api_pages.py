"""The API's pages in a browser, under the policy every page has: no inline code, no other hosts."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor


def test_the_documentation_opens_and_its_requests_are_the_persons_own(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    operation = visitor.opens("/api/docs").locator("#operations-tasks-tasks_pause")
    operation.locator("button.opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_placeholder("id").fill(str(task.pk))
    operation.get_by_role("button", name="Execute").click()
    operation.locator(".live-responses-table").get_by_text("200").first.wait_for()
    task.refresh_from_db()
    assert task.is_paused


def test_a_task_is_changed_on_its_page_of_the_api(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    page = visitor.opens(f"/api/schedule/tasks/{task.pk}")
    body = page.get_by_label("Body (JSON)")
    given = json.loads(body.input_value())
    body.fill(json.dumps({**given, "name": "Renamed"}))
    page.get_by_role("button", name="PUT").click()
    page.get_by_role("heading", name="200 OK").wait_for()
    assert ScheduledTask.objects.get().name == "Renamed"


def test_nothing_is_deleted_by_one_click(
    visitor: Visitor, operator: User, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group])
    visitor.signs_in("operator")
    page = visitor.opens(f"/api/schedule/tasks/{task.pk}")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="DELETE").click()
    assert ScheduledTask.objects.exists()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="DELETE").click()
    page.get_by_role("heading", name="204").wait_for()
    assert not ScheduledTask.objects.exists()


@pytest.mark.thorough
def test_an_address_in_an_answer_is_a_link(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/api/")
    page.get_by_role("link", name="/api/schedule/tasks").click()
    page.get_by_role("heading", name="GET /api/schedule/tasks").wait_for()


@pytest.mark.thorough
def test_the_documentation_asks_no_other_host_and_is_as_dark_as_the_reader_likes(
    visitor: Visitor, operator: User
) -> None:
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.emulate_media(color_scheme="light")
    visitor.signs_in("operator")
    page = visitor.opens("/api/docs")
    page.locator("#operations-tasks-tasks_pause").wait_for()
    assert {urlsplit(one).netloc for one in asked} == {urlsplit(visitor.address).netloc}
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_class("dark-mode")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.get_by_role("link", name="Back to DeployX").click()
    expect(page).to_have_title("Overview · DeployX")


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/api/", "/api/schedule/tasks", "/api/docs"])
def test_no_page_of_the_api_scrolls_sideways_on_a_telephone(
    visitor: Visitor, operator: User, web_group: DeviceGroup, path: str
) -> None:
    factories.task(operator, groups=[web_group])
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    visitor.signs_in("operator")
    page = visitor.opens(path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
