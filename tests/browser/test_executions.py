"""An execution on its page: its counts, its devices, and the output of one of them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from devices import keys
from devices.models import Device, DeviceGroup
from scheduling import ledger, rollout
from scheduling.models import DeviceRun
from scheduling.tests import factories
from scheduling.tests.test_alike import wrote
from tests.browser.conftest import AT_ONCE, Visitor


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
    expect(output).to_contain_text("zweite Zeile: grün", timeout=AT_ONCE)
    end(run)
    expect(page.get_by_text("Ended.")).to_be_visible(timeout=AT_ONCE)
    expect(output).to_have_text("first line\nzweite Zeile: grün\n")


def test_the_counts_follow_and_the_output_read_so_far_stays(
    visitor: Visitor, run: DeviceRun
) -> None:
    factories.write_output(run, b"first line\n")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    visitor.waits_for_line()
    factories.write_output(run, b"second line\n")
    expect(page.get_by_role("log")).to_contain_text("second line", timeout=AT_ONCE)
    end(run)
    expect(page.get_by_role("link", name="1 Succeeded")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Success")
    expect(page.get_by_role("log")).to_have_text("first line\nsecond line\n")


def asks_every_second(page: Page) -> None:
    """For more output, and not only after 25 s."""
    page.route(
        "**/output?*", lambda route: route.continue_(url=route.request.url.replace("=25", "=1"))
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("whose", "waits"),
    [("visitor", "Not started yet."), ("german_visitor", "Noch nicht gestartet.")],
)
def test_a_run_that_waits_for_its_device_is_not_said_to_be_followed(
    request: pytest.FixtureRequest, run: DeviceRun, whose: str, waits: str
) -> None:
    away = factories.run(run.execution, factories.device("away", online=False), status="queued")
    visitor: Visitor = request.getfixturevalue(whose)
    asks_every_second(visitor.page)
    visitor.signs_in("operator")
    page = visitor.opens(f"{run.execution.get_absolute_url()}?run={away.pk}")
    for _answer in range(2):
        page.wait_for_event("response", lambda answer: "/output?" in answer.url)
    expect(page.locator("[data-state]")).to_have_text(waits)


@pytest.mark.thorough
def test_the_start_and_end_of_a_run_that_writes_nothing_are_told(
    visitor: Visitor, run: DeviceRun
) -> None:
    device = factories.device("silent")
    silent = factories.run(run.execution, device, status="queued")
    visitor.signs_in("operator")
    page = visitor.opens(f"{run.execution.get_absolute_url()}?run={silent.pk}")
    visitor.waits_for_line()
    state = page.locator("[data-state]")
    expect(state).to_have_text("Not started yet.")
    session = factories.session_of(device)
    ledger.claim([session])
    ledger.start([(session, silent.pk)])
    expect(state).to_have_text("Following the output…", timeout=AT_ONCE)
    end(silent)
    expect(state).to_have_text("Ended without any output.", timeout=AT_ONCE)


@pytest.mark.thorough
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
    expect(output).to_contain_text("and more", timeout=AT_ONCE)
    assert f"run={other.pk}" in page.url


def test_markup_in_output_is_text(visitor: Visitor, run: DeviceRun) -> None:
    factories.write_output(run, b"<img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\n")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    expect(page.get_by_role("log")).to_have_text("<img src=x onerror=alert(1)>red\n")


def test_controls_in_output_do_nothing(visitor: Visitor, run: DeviceRun) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    written = "a\x1b[31mb\x9b2Jc\x1b]0;title\x07d\x9d0;title\x9ce\x1bDf\x85g\th\n"
    factories.write_output(run, written.encode())
    expect(page.get_by_role("log")).to_have_text("abcdefg\th\n", timeout=AT_ONCE)


@pytest.mark.thorough
def test_cancel_asks_first(visitor: Visitor, run: DeviceRun) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_text("It is stopped on 1 device where it is running").wait_for()
    page.get_by_role("button", name="Cancel the execution").click()
    page.get_by_text("Being cancelled").wait_for()


def devices_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Devices").locator("tbody a.name")


def test_the_devices_are_filtered_by_count_searched_and_sorted(
    visitor: Visitor, run: DeviceRun
) -> None:
    for number in range(50):
        factories.run(run.execution, factories.device(f"shop-{number:02}"), status="skipped")
    factories.run(run.execution, factories.device("db-1"), status="failed")
    visitor.signs_in("operator")
    page = visitor.opens(run.execution.get_absolute_url())
    page.get_by_role("link", name="1 Failed").click()
    expect(devices_of(page)).to_have_text(["db-1"])
    page.go_back()
    page.get_by_label("Search by device").fill("SHOP-1")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="shop-13", exact=True).click()
    output = page.get_by_role("heading", name="Output: shop-13")
    expect(output).to_be_visible()
    heading = page.get_by_role("columnheader", name="Device")
    for order in ("ascending", "descending"):
        heading.get_by_role("link").click()
        expect(heading).to_have_attribute("aria-sort", order)
    expect(devices_of(page)).to_have_text([f"shop-{number}" for number in range(19, 9, -1)])
    expect(output).to_be_visible()


@pytest.mark.thorough
def test_the_chosen_device_is_in_the_address_and_back_chooses_the_one_before(
    visitor: Visitor, run: DeviceRun
) -> None:
    other = factories.run(run.execution, factories.device("web-2"), status="running")
    factories.write_output(run, b"of the first\n")
    factories.write_output(other, b"of the second\n")
    visitor.signs_in("operator")
    page = visitor.opens(f"{run.execution.get_absolute_url()}?run={run.pk}")
    output = page.get_by_role("log")
    page.get_by_role("link", name="web-2", exact=True).click()
    expect(output).to_have_text("of the second\n")
    page.go_back()
    expect(output).to_have_text("of the first\n")
    factories.write_output(run, b"and more\n")
    expect(output).to_have_text("of the first\nand more\n")
    page.go_forward()
    expect(output).to_have_text("of the second\n")


def test_equal_outputs_are_grouped_and_what_differs_is_shown(
    visitor: Visitor, run: DeviceRun
) -> None:
    execution = run.execution
    for text in ("Linux 6.1\n", "Linux 6.1\n", "Linux 5.4\n"):
        last = wrote(execution, text)
    visitor.signs_in("operator")
    page = visitor.opens(execution.get_absolute_url())
    page.get_by_role("link", name="1 device differs from most").click()
    expect(devices_of(page)).to_have_text([last.device_name])
    page.get_by_role("link", name="What differs from most").click()
    expect(page.locator("#difference del")).to_have_text("-Linux 6.1")
    expect(page.locator("#difference ins")).to_have_text("+Linux 5.4")
    page.go_back()
    page.get_by_role("link", name="2 devices").click()
    expect(page.get_by_role("log")).to_have_text("Linux 6.1\n")
    page.get_by_role("link", name="Show all devices").click()
    expect(devices_of(page)).to_have_count(4)
