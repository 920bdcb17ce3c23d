"""Where no script runs, forms are posted and pages come anew: the core of the work is all there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from accounts.models import ApiToken
from devices.models import Device, DeviceGroup
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor


@pytest.fixture
def task(operator: User, web_group: DeviceGroup) -> ScheduledTask:
    return factories.task(operator, name="Disk space", groups=[web_group])


@pytest.fixture
def signed_in(plain_visitor: Visitor, operator: User) -> Visitor:
    plain_visitor.signs_in("operator")
    return plain_visitor


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()


def test_a_task_is_paused_resumed_and_executed(signed_in: Visitor, task: ScheduledTask) -> None:
    page = signed_in.opens(f"/tasks/{task.pk}/")
    press(page, "Pause")
    expect(page.get_by_role("status").get_by_text("is paused")).to_be_visible()
    press(page, "Resume")
    expect(page.get_by_role("status").get_by_text("goes on")).to_be_visible()
    press(page, "Execute now")
    page.wait_for_url("**/executions/*/")
    assert Execution.objects.get().task == task


def test_a_task_is_found_by_name_and_by_status(
    signed_in: Visitor, operator: User, task: ScheduledTask, web_group: DeviceGroup
) -> None:
    factories.task(operator, name="Other", groups=[web_group])
    page = signed_in.opens("/tasks/")
    page.get_by_role("searchbox").first.fill("disk")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Disk space", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Other")).to_have_count(0)


def test_a_task_is_deleted_after_a_question(signed_in: Visitor, task: ScheduledTask) -> None:
    page = signed_in.opens(f"/tasks/{task.pk}/")
    page.get_by_role("link", name="Delete").first.click()
    press(page, "Delete the task")
    page.wait_for_url("**/tasks/")
    assert not ScheduledTask.objects.exists()


def test_an_execution_is_cancelled(
    signed_in: Visitor, task: ScheduledTask, web_device: Device
) -> None:
    run = factories.run(factories.execution(task), web_device, status="running")
    page = signed_in.opens(f"/executions/{run.execution_id}/")
    page.get_by_role("link", name="Cancel…").first.click()
    press(page, "Cancel the execution")
    page.wait_for_url(f"**/executions/{run.execution_id}/")
    assert DeviceRun.objects.get().cancel_requested_at is not None


@pytest.mark.thorough
def test_a_device_is_renamed(signed_in: Visitor, web_group: DeviceGroup) -> None:
    device = web_group.devices.get()
    page = signed_in.opens(f"/devices/{device.pk}/edit")
    page.get_by_label("Name").fill("kiosk-7")
    press(page, "Save")
    expect(page.get_by_role("heading", level=1)).to_contain_text("kiosk-7")


@pytest.mark.thorough
def test_a_group_is_made_changed_and_given_devices(
    plain_visitor: Visitor, admin: User, web_device: Device
) -> None:
    plain_visitor.signs_in("admin")
    page = plain_visitor.opens("/groups/new")
    page.get_by_label("Name").fill("Kiosks")
    press(page, "Make the group")
    page.get_by_label("web-1").check()
    press(page, "Put the ticked ones in")
    page.get_by_text("1 put in.").wait_for()
    assert DeviceGroup.objects.get().devices.get() == web_device
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Description").fill("In the hall")
    press(page, "Save")
    expect(page.get_by_text("In the hall")).to_be_visible()


def test_what_was_typed_is_still_there_after_a_refusal(plain_visitor: Visitor, admin: User) -> None:
    plain_visitor.signs_in("admin")
    page = plain_visitor.opens("/groups/new")
    page.get_by_label("Description").fill("Kept")
    press(page, "Make the group")
    expect(page.get_by_label("Description")).to_have_value("Kept")
    expect(page.get_by_text("must have from 1 to 100 characters")).to_be_visible()


@pytest.mark.thorough
def test_a_token_is_issued_shown_once_and_revoked(signed_in: Visitor) -> None:
    page = signed_in.opens("/settings/tokens/")
    page.get_by_label("What it is for").fill("laptop")
    press(page, "Issue the token")
    expect(page.get_by_text("dpx_")).to_be_visible()
    page.goto(page.url)
    expect(page.get_by_text("dpx_")).to_have_count(0)
    page.get_by_role("link", name="Revoke…: laptop").click()
    press(page, "Revoke the token")
    page.wait_for_url("**/settings/tokens/")
    expect(page.get_by_role("link", name="Revoke…: laptop")).to_have_count(0)
    assert ApiToken.objects.get().revoked_at is not None


def test_the_menu_is_there_on_a_telephone(signed_in: Visitor) -> None:
    signed_in.page.set_viewport_size({"width": 375, "height": 800})
    page = signed_in.opens("/")
    press(page, "Menu")
    page.get_by_role("link", name="Devices").first.click()
    expect(page).to_have_title("Devices · DeployX")


def test_somebody_signs_out(signed_in: Visitor) -> None:
    page = signed_in.opens("/accounts/logout/")
    press(page, "Sign out")
    page.goto(f"{signed_in.address}/tasks/")
    expect(page.get_by_label("Password")).to_be_visible()
