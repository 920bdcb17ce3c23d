"""A rollout steered from its page, and a page that is right though it opened too early."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import expect

from devices import keys
from devices.models import Device, DeviceGroup
from scheduling import executions, ledger, rollout
from scheduling.models import DeviceRun, Execution
from scheduling.tests import factories
from tests.browser.conftest import Visitor


@pytest.fixture
def execution(operator: User, web_group: DeviceGroup, web_device: Device) -> Execution:
    """Its first wave is at work, its second waits."""
    keys.ensure_key()
    task = factories.task(operator, groups=[web_group], rollout={"strategy": "canary"})
    made = factories.execution(task, open_wave=1)
    factories.run(made, web_device, status="running")
    later = [factories.run(made, factories.device(f"later-{n}"), wave=2) for n in range(2)]
    web_group.devices.add(*[run.device for run in later if run.device])
    return made


def test_a_rollout_is_paused_promoted_resumed_and_aborted(
    visitor: Visitor, execution: Execution
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(execution.get_absolute_url())
    expect(page.locator("#holdups")).to_have_text("2 wait for the first wave to end.")
    page.get_by_role("button", name="Pause rollout").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Rollout paused")
    expect(page.locator("#holdups")).to_contain_text("The rollout was paused by operator")
    page.get_by_role("button", name="Let the next wave go").click()
    expect(page.locator("#wave-2")).to_contain_text("Under way")
    expect(page.get_by_role("button", name="Let the next wave go")).to_have_count(0)
    page.get_by_role("button", name="Resume rollout").press("Enter")
    expect(page.get_by_role("button", name="Pause rollout")).to_be_visible()
    page.get_by_role("link", name="Abort…").click()
    page.get_by_text("2 devices on which it has not started are skipped.").wait_for()
    page.get_by_role("button", name="Abort the rollout").click()
    expect(page.get_by_role("link", name="2 Skipped")).to_be_visible()


@pytest.mark.thorough
def test_somebody_elses_pause_shows_at_once(
    visitor: Visitor, execution: Execution, operator: User
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(execution.get_absolute_url())
    visitor.waits_for_line()
    executions.pause_rollout(execution, operator)
    paused = page.get_by_role("button", name="Resume rollout")
    expect(paused).to_be_visible()


def test_what_happened_before_the_line_was_open_shows_as_soon_as_it_is(
    visitor: Visitor, execution: Execution
) -> None:
    """A quick command ends while its page is still being loaded."""
    run = execution.runs.get(status="running")
    visitor.signs_in("operator")

    def end_meanwhile() -> None:
        ledger.results([factories.result_of(run)])
        connection.close()

    with ThreadPoolExecutor(1) as device:
        visitor.page.route(
            "**/js/live.js*",
            lambda route: (device.submit(end_meanwhile).result(60), route.continue_()),
        )
        page = visitor.opens(execution.get_absolute_url())
        visitor.waits_for_line()
    row = page.locator(f"#run-{run.pk}")
    expect(row).to_contain_text("Succeeded")


@pytest.mark.thorough
def test_the_actions_stay_in_reach_on_a_long_page(visitor: Visitor, execution: Execution) -> None:
    for number in range(40):
        factories.run(execution, factories.device(f"many-{number:02}"), wave=2)
    visitor.signs_in("operator")
    page = visitor.opens(execution.get_absolute_url())
    page.get_by_role("link", name="many-39", exact=True).scroll_into_view_if_needed()
    expect(page.get_by_role("link", name="Abort…")).to_be_in_viewport()


def test_only_the_ticked_end_states_are_retried(
    visitor: Visitor, execution: Execution, web_device: Device
) -> None:
    execution.runs.filter(wave=2).move("skipped", finished_at=execution.created_at)
    ledger.results([factories.result_of(execution.runs.get(wave=1), "failed")])
    rollout.advance(execution.pk)
    visitor.signs_in("operator")
    page = visitor.opens(execution.get_absolute_url())
    page.get_by_role("link", name="Retry…").click()
    expect(page.get_by_label("Failed")).to_be_checked()
    page.get_by_label("Skipped").uncheck()
    page.get_by_role("button", name="Retry").click()
    page.wait_for_url(lambda url: str(execution.pk) not in url)
    again = Execution.objects.get(trigger="retry")
    assert [run.device_id for run in again.runs.all()] == [web_device.pk]


@pytest.mark.thorough
def test_one_device_is_cancelled_from_the_table(visitor: Visitor, execution: Execution) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(execution.get_absolute_url())
    page.get_by_role("link", name="Cancel: later-1").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_role("link", name="1 Cancelled")).to_be_visible()
    assert DeviceRun.objects.get(status="cancelled").device_name == "later-1"
