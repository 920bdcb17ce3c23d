"""Each page: no complaint of the browser, none of axe, no sideways scrolling, in light and dark."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.urls import resolve
from playwright.sync_api import expect

import accounts.page_urls
import devices.file_urls
import devices.page_urls
import scheduling.page_urls
from devices.models import Device, DeviceGroup
from tests.browser import scene
from tests.browser.conftest import Visitor

# What a list of hundreds of time zones shows is the browser's own, and takes long to look at.
HARM = """options => {
  document.querySelectorAll("datalist > option, option:not(:checked)").forEach(one => one.remove());
  return axe.run(options).then(found => found.violations);
}"""
MISSING = ("/nothing-of-the-kind", "/api/nothing-of-the-kind")


@pytest.fixture
def pages(admin: User, web_group: DeviceGroup, web_device: Device) -> list[str]:
    return scene.addresses(admin, web_group, web_device)


EMPTY = [
    "/",
    "/tasks/",
    "/executions/",
    "/files/",
    "/software/",
    "/devices/",
    "/groups/",
    "/settings/tokens/",
]
ENTRANCE = ["/accounts/login/", "/accounts/password/reset/", "/accounts/signup/"]


def test_no_page_of_ours_is_forgotten(pages: list[str]) -> None:
    modules = [accounts.page_urls, devices.file_urls, devices.page_urls, scheduling.page_urls]
    names = {one.name for module in modules for one in module.urlpatterns}
    visited = {resolve(urlsplit(path).path).url_name for path in pages}
    assert names - scene.NO_PAGES - visited == set()
    assert (scene.NO_PAGES - names, scene.NO_PAGES & visited) == (set(), set())


def violations(visitor: Visitor, **options: Any) -> list[str]:
    page = visitor.page
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    options = {"resultTypes": ["violations"], "preload": False, **options}
    found: list[dict[str, Any]] = page.evaluate(HARM, options)
    return [
        f"{visitor.page.url}: {one['id']}: {node['html']}" for one in found for node in one["nodes"]
    ]


def hard_to_read(visitor: Visitor) -> list[str]:
    """What axe has against the page in light; in dark, nothing but colours is other."""
    visitor.page.emulate_media(color_scheme="light")
    wrong = violations(visitor)
    visitor.page.emulate_media(color_scheme="dark")
    return wrong + violations(visitor, runOnly=["color-contrast", "link-in-text-block"])


def overflow(visitor: Visitor) -> list[str]:
    """The page, where it is wider than a small telephone."""
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    found = [visitor.page.url] if visitor.page.evaluate(wider) else []
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    return found


@pytest.mark.timeout(900)
def test_everybody_can_read_and_work_every_page(visitor: Visitor, pages: list[str]) -> None:
    visitor.signs_in("admin")
    wrong = []
    for path in pages:
        visitor.opens(path)
        visitor.unfolds_everything()
        wrong += hard_to_read(visitor) + overflow(visitor)
    assert wrong == []


def test_the_pages_of_somebody_who_has_nothing_yet(visitor: Visitor, operator: User) -> None:
    wrong = []
    for path in ENTRANCE:
        visitor.opens(path)
        wrong += hard_to_read(visitor)
    visitor.signs_in("operator")
    for path in EMPTY:
        visitor.opens(path)
        wrong += hard_to_read(visitor)
    assert wrong == []


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_said_on_a_page_of_ours(
    visitor: Visitor, operator: User, path: str
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert violations(visitor) == []
    assert all("404" in one for one in visitor.complaints)
    visitor.complaints.clear()


def test_the_menu_opens_on_a_telephone(visitor: Visitor, operator: User) -> None:
    visitor.page.set_viewport_size({"width": 375, "height": 800})
    visitor.signs_in("operator")
    visitor.opens("/")
    link = visitor.page.get_by_role("navigation").get_by_role("link", name="Devices")
    expect(link).to_be_hidden()
    visitor.page.get_by_role("button", name="Menu").click()
    link.click()
    expect(visitor.page).to_have_title("Devices · DeployX")


def test_the_first_tab_stop_leads_past_the_menu(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    visitor.opens("/")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_a_page_says_which_language_it_is_in(german_visitor: Visitor) -> None:
    german_visitor.opens("/accounts/login/")
    expect(german_visitor.page.locator("html")).to_have_attribute("lang", "de")


def test_the_administrations_lists_fit_beside_their_filters(
    visitor: Visitor, pages: list[str]
) -> None:
    visitor.signs_in("admin")
    visitor.page.set_viewport_size({"width": 1280, "height": 800})
    for name in ("scheduledtask", "execution", "devicerun"):
        table = visitor.opens(f"/admin/scheduling/{name}/").locator(".results")
        assert table.evaluate("one => one.scrollWidth <= one.clientWidth"), name


def test_the_administration_works_under_the_same_policy(visitor: Visitor, pages: list[str]) -> None:
    visitor.signs_in("admin")
    for path in ("/admin/", "/admin/scheduling/scheduledtask/", "/admin/auth/user/add/"):
        page = visitor.opens(path)
        expect(page.locator("#site-name")).to_be_visible()
