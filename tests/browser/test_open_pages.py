"""Lists and pages that stay open while somebody else changes what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, WebSocketRoute, expect

from accounts import tokens
from devices import enrollment, keys
from devices.models import Device, DeviceGroup
from scheduling import ledger, templates
from scheduling.catalogue import files, uploads
from scheduling.models import DeviceRun, StoredFile, Upload
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import files_dir
from tests.browser.conftest import Visitor

__all__ = ["files_dir"]


@pytest.fixture
def motd(operator: User, files_dir: Path) -> StoredFile:
    return files.create(operator, {"name": "motd"}, iter([b"hello"]), 5)


@pytest.fixture
def run(operator: User, web_group: DeviceGroup, web_device: Device) -> DeviceRun:
    keys.ensure_key()
    task = factories.task(operator, groups=[web_group])
    return factories.run(factories.execution(task), web_device, status="running")


@pytest.mark.thorough
def test_a_file_that_comes_shows_at_once_and_what_is_ticked_stays_so(
    visitor: Visitor, operator: User, motd: StoredFile
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/files/")
    visitor.waits_for_line()
    tick = page.get_by_label("Choose motd")
    tick.check()
    files.create(operator, {"name": "issue"}, iter([b"hi"]), 2)
    expect(page.get_by_role("link", name="issue")).to_be_visible()
    files.update(motd, operator, {"description": "Of the day"})
    expect(page.get_by_text("Of the day")).to_be_visible()
    expect(tick).to_be_checked()
    expect(tick).to_be_focused()


def test_an_upload_shows_piece_by_piece_until_it_is_cancelled(
    visitor: Visitor, operator: User, files_dir: Path
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/files/")
    visitor.waits_for_line()
    card = page.locator("#uploads")
    expect(card).to_be_hidden()
    upload = uploads.begin(operator, {"name": "image.iso"}, 4)
    expect(card).to_contain_text("0 %")
    uploads.append(upload, 0, iter([b"xx"]), 2)
    expect(card).to_contain_text("50 %")
    page.get_by_role("link", name="Cancel… image.iso").click()
    page.get_by_role("button", name="Cancel the upload").click()
    expect(page.get_by_text("The upload of “image.iso” is cancelled.")).to_be_visible()
    expect(page.locator("#uploads")).to_be_hidden()
    assert not Upload.objects.exists()


def test_a_page_whose_server_missed_something_asks_for_all_it_shows(
    visitor: Visitor, operator: User, motd: StoredFile
) -> None:
    lines: list[WebSocketRoute] = []

    def opens(line: WebSocketRoute) -> None:
        lines.append(line)

    visitor.page.route_web_socket("**/ws/live", opens)
    visitor.signs_in("operator")
    page = visitor.opens("/files/")
    visitor.waits_for_line()
    files.create(operator, {"name": "issue"}, iter([b"hi"]), 2)
    lines[0].send('{"missed": true}')
    expect(page.get_by_role("link", name="issue")).to_be_visible()


def test_a_page_that_is_told_much_asks_at_most_twice_a_second_and_shows_the_last(
    visitor: Visitor, operator: User, motd: StoredFile
) -> None:
    """Forty times within two seconds, by a clock that goes on when it is told to."""
    lines: list[WebSocketRoute] = []
    asked: list[str] = []

    def keeps(socket: WebSocketRoute) -> None:
        lines.append(socket)

    visitor.page.route_web_socket("**/ws/live", keeps)
    visitor.page.clock.install()
    visitor.signs_in("operator")
    page = visitor.opens("/files/")
    visitor.waits_for_line()
    page.clock.pause_at(page.evaluate("Date.now() + 1_000"))
    page.on("request", lambda request: asked.append(request.headers.get("hx-target", "")))
    for number in range(40):
        files.update(motd, operator, {"description": f"Number {number}"})
        lines[0].send('{"missed": true}')
        page.clock.run_for(50)
    assert set(asked) == {"file-list", "uploads"}
    assert all(2 <= asked.count(region) <= 5 for region in asked), asked
    page.clock.resume()
    expect(page.get_by_text("Number 39")).to_be_visible()


@pytest.mark.thorough
def test_what_uses_a_file_shows_on_its_page_and_once_it_is_gone_the_page_says_so(
    visitor: Visitor, admin: User, motd: StoredFile
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(motd.get_absolute_url())
    visitor.waits_for_line()
    deb = {"os": "linux", "format": "deb", "file_id": str(motd.pk)}
    entry = factories.software(admin, sources=[deb])
    expect(page.get_by_role("link", name=str(entry))).to_be_visible()
    entry.sources.all().delete()
    files.delete(motd, admin)
    expect(page.get_by_role("heading", name="motd")).to_be_hidden()
    assert all("404" in one for one in visitor.complaints)
    visitor.complaints.clear()


@pytest.mark.thorough
def test_devices_that_have_a_software_are_counted_as_runs_find_it(
    visitor: Visitor, admin: User, run: DeviceRun
) -> None:
    entry = factories.software(admin)
    found = [{"id": str(entry.pk), "name": entry.name, "version": entry.version}]
    visitor.signs_in("operator")
    page = visitor.opens(entry.get_absolute_url())
    visitor.waits_for_line()
    ledger.results([factories.result_of(run, detail={"installed": found})])
    expect(page.get_by_text("1 of 1 have this version.")).to_be_visible()


@pytest.mark.thorough
def test_a_template_that_is_shared_shows_to_others_at_once(
    visitor: Visitor, admin: User, operator: User
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/settings/templates/")
    visitor.waits_for_line()
    given = {"name": "Daily", "task_type": "command", "shared": True}
    made = templates.create(admin, given)
    expect(page.get_by_role("link", name="Daily", exact=True)).to_be_visible()
    templates.delete(made, admin)
    expect(page.get_by_text("No template yet")).to_be_visible()


def key_just_issued(visitor: Visitor) -> Locator:
    """Of a token for the laptop, on the page that shows it once."""
    visitor.signs_in("operator")
    page = visitor.opens("/settings/tokens/")
    page.get_by_label("What it is for").fill("laptop")
    page.get_by_role("button", name="Issue the token").click()
    key = page.locator("#copy-key")
    expect(key).to_be_visible()
    visitor.waits_for_line()
    return key


@pytest.mark.thorough
def test_the_use_of_a_token_shows_beside_its_key_which_stays(
    visitor: Visitor, operator: User
) -> None:
    key = key_just_issued(visitor)
    used = visitor.page.get_by_role("row", name="laptop").locator("[data-label='Used last']")
    expect(used).to_have_text("never")
    assert tokens.find(key.inner_text()) is not None
    expect(used).to_have_text("just now")
    expect(key).to_be_visible()


@pytest.mark.thorough
def test_signing_out_elsewhere_takes_a_new_key_off_the_page(
    visitor: Visitor, operator: User
) -> None:
    key_just_issued(visitor)
    page = visitor.page
    other = page.context.new_page()
    other.goto(visitor.address + "/files/")
    other.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=/settings/tokens/"))


@pytest.mark.thorough
def test_what_becomes_of_an_enrolment_token_shows_at_once(visitor: Visitor, admin: User) -> None:
    token, _text = enrollment.issue(uses_limit=2, name="kiosks", created_by=admin)
    visitor.signs_in("admin")
    page = visitor.opens("/devices/new")
    visitor.waits_for_line()
    row = page.get_by_role("row", name="kiosks")
    expect(row).to_contain_text("0 of 2")
    enrollment.revoke(token, admin)
    expect(row).to_contain_text("Revoked")
