"""The API's pages in a browser, under the policy every page has: no inline code, no other hosts."""

from __future__ import annotations

import json

from django.contrib.auth.models import User

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


def test_an_address_in_an_answer_is_a_link(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/api/")
    page.get_by_role("link", name="/api/schedule/tasks").click()
    page.get_by_role("heading", name="GET /api/schedule/tasks").wait_for()
