"""A button that is pressed twice, and one that is pressed again after coming back."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor


@pytest.fixture
def task(operator: User, web_group: DeviceGroup) -> ScheduledTask:
    return factories.task(operator, name="Disk space", groups=[web_group])


def presses(visitor: Visitor, task: ScheduledTask, times: int) -> list[str]:
    """What is sent by so many quick clicks on a button of the page that is open."""
    page, asked = visitor.page, []
    page.on("request", lambda one: asked.append(one.method) if "/execute" in one.url else None)
    page.get_by_role("button", name="Execute now").click(click_count=times)
    page.wait_for_url("**/executions/*/")
    expect(page.get_by_role("heading", level=1)).to_contain_text(task.name)
    return asked


def test_a_double_click_sends_once(visitor: Visitor, task: ScheduledTask) -> None:
    visitor.signs_in("operator")
    visitor.opens(task.get_absolute_url())
    assert presses(visitor, task, times=2) == ["POST"]
    assert task.executions.count() == 1


@pytest.mark.thorough
def test_without_script_it_acts_once(plain_visitor: Visitor, task: ScheduledTask) -> None:
    plain_visitor.signs_in("operator")
    plain_visitor.opens(task.get_absolute_url())
    presses(plain_visitor, task, times=2)
    assert task.executions.count() == 1


@pytest.mark.thorough
def test_who_comes_back_and_presses_again_means_it(visitor: Visitor, task: ScheduledTask) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(task.get_absolute_url())
    for number in (1, 2):
        presses(visitor, task, times=1)
        assert task.executions.count() == number
        page.go_back()
        expect(page.get_by_role("button", name="Execute now")).to_be_visible()
