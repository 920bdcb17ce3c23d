from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from devices import groups, keys, membership, presence
from devices.models import Device, DeviceGroup
from scheduling import live
from scheduling.tests import factories
from tests.browser.conftest import Visitor


def test_adding_a_device_gives_the_lines_to_copy(visitor: Visitor, admin: User) -> None:
    keys.ensure_key()
    visitor.signs_in("admin")
    page = visitor.opens("/devices/")
    page.get_by_role("link", name="Add the first device").click()
    page.get_by_label("What it is for").fill("a kiosk")
    page.get_by_role("button", name="Issue the token").click()
    expect(page.locator("#copy-line")).to_contain_text(f"{visitor.address}/agent/install.sh")
    expect(page.locator("#copy-enroll")).to_be_hidden()
    page.get_by_text("By hand instead").click()
    expect(page.locator("#copy-enroll")).to_contain_text(visitor.address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator(".copy-line", has=page.locator("#copy-token")).get_by_role("button")
    button.click()
    expect(button).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.inner_text("#copy-token")
    assert copied.startswith("dxe_")


@pytest.mark.thorough
def test_a_device_that_goes_offline_shows_at_once(
    visitor: Visitor, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/devices/")
    row = page.get_by_role("row", name="web-1")
    expect(row).to_contain_text("Online")
    visitor.waits_for_line()
    factories.go_offline(web_device)
    live.changed("device", [web_device.pk])
    expect(row).to_contain_text("Offline")
    assert presence.counts().offline == 1


def test_devices_are_put_into_a_group_and_taken_out(
    visitor: Visitor, admin: User, web_group: DeviceGroup
) -> None:
    factories.device("spare")
    visitor.signs_in("admin")
    page = visitor.opens(f"/groups/{web_group.pk}/")
    page.get_by_label("spare").check()
    page.get_by_role("button", name="Put the ticked ones in").click()
    page.get_by_text("1 put in.").wait_for()
    page.get_by_label("web-1").check()
    page.get_by_role("button", name="Take the ticked ones out").click()
    page.get_by_text("1 taken out.").wait_for()
    assert [one.name for one in web_group.devices.all()] == ["spare"]


@pytest.mark.thorough
def test_what_changes_of_a_group_shows_at_once_though_no_device_moves(
    visitor: Visitor, admin: User, operator: User, web_group: DeviceGroup
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/groups/")
    visitor.waits_for_line()
    groups.create(admin, {"name": "canaries", "people": [operator.pk]})
    expect(page.get_by_role("link", name="canaries")).to_be_visible()
    groups.update(web_group, admin, {"people": []}, partial=True)
    expect(page.get_by_role("link", name="web", exact=True)).to_be_hidden()


@pytest.mark.thorough
def test_a_device_that_a_query_finds_shows_at_once(visitor: Visitor, admin: User) -> None:
    group = groups.create(admin, {"name": "All", "kind": "dynamic", "query": "os = linux"})
    visitor.signs_in("admin")
    page = visitor.opens(group.get_absolute_url())
    visitor.waits_for_line()
    factories.device("found", os="linux")
    membership.refresh_named([group.pk])
    expect(page.get_by_role("link", name="found")).to_be_visible()
