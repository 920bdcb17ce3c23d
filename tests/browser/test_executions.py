"""An execution as it goes on: its counts, and the output of one device."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices import keys
from devices.models import Device, DeviceGroup
from scheduling import ledger, rollout
from scheduling.models import DeviceRun
from scheduling.tests import factories
from tests.browser.conftest import Visitor


@pytest.fixture
def run(operator: User, web_group: DeviceGroup, web_device: Device) -> DeviceRun:
    keys.ensure_key()
    task = factories.task(operator, groups=[web_group])
    return factories.run(factories.execution(task), web_device, status="running")


def end(run: DeviceRun) -> None:
    """As the device reports its end and a worker settles the execution."""
    run.refresh_from_db()
    ledger.results([factories.result_of(run, output_length=run.output_next)])
    rollout.advance(run.execution_id)


def test_output_shows_while_it_is_written_and_its_end_is_told(
    visitor: Visitor, run: DeviceRun
) -> None:
    factories.write_output(run, b"first line\n")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    output = page.get_by_role("log")
    expect(output).to_have_text("first line\n")
    factories.write_output(run, "zweite Zeile: grün\n".encode())
    expect(output).to_contain_text("zweite Zeile: grün", timeout=5_000)
    end(run)
    expect(page.get_by_text("Ended.")).to_be_visible(timeout=5_000)
    expect(output).to_have_text("first line\nzweite Zeile: grün\n")


def test_the_counts_follow_and_the_output_read_so_far_stays(
    visitor: Visitor, run: DeviceRun
) -> None:
    factories.write_output(run, b"first line\n")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    visitor.waits_for_line()
    factories.write_output(run, b"second line\n")
    expect(page.get_by_role("log")).to_contain_text("second line", timeout=5_000)
    end(run)
    expect(page.get_by_role("link", name="1 Succeeded")).to_be_visible(timeout=3_000)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Success")
    expect(page.get_by_role("log")).to_have_text("first line\nsecond line\n")


def test_another_device_is_chosen_and_its_output_follows(visitor: Visitor, run: DeviceRun) -> None:
    other = factories.run(run.execution, factories.device("web-2"), status="running")
    factories.write_output(run, b"of the first\n")
    factories.write_output(other, b"of the second\n")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    output = page.get_by_role("log")
    expect(output).to_have_text("of the first\n")
    page.get_by_role("link", name="web-2", exact=True).click()
    expect(output).to_have_text("of the second\n")
    factories.write_output(other, b"and more\n")
    expect(output).to_contain_text("and more", timeout=5_000)
    assert f"run={other.pk}" in page.url


def test_markup_in_output_is_text(visitor: Visitor, run: DeviceRun) -> None:
    factories.write_output(run, b"<img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\n")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    expect(page.get_by_role("log")).to_have_text("<img src=x onerror=alert(1)>red\n")


def test_cancel_asks_first(visitor: Visitor, run: DeviceRun) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_text("It is stopped on 1 device where it is running").wait_for()
    page.get_by_role("button", name="Cancel the execution").click()
    page.get_by_text("Being cancelled").wait_for()
