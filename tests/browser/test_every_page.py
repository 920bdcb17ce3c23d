"""Each page: no complaint of the browser, none of axe, no sideways scrolling, in light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.urls import resolve
from playwright.sync_api import expect

import accounts.page_urls
import devices.file_urls
import devices.page_urls
import scheduling.page_urls
from devices import keys
from devices.models import Device, DeviceGroup
from scheduling.tests import factories
from tests.browser import scene
from tests.browser.accessibility import Scheme, hard_to_use, in_scheme, overflow
from tests.browser.conftest import Visitor

SHARES = 3
"""Every page takes a minute: processes that share the work share the pages."""
TURNS: list[tuple[Scheme, Scheme]] = [("light", "dark"), ("dark", "light")]
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


@pytest.mark.timeout(900)
@pytest.mark.parametrize("share", range(SHARES))
def test_everybody_can_read_and_work_every_page(
    visitor: Visitor, pages: list[str], share: int
) -> None:
    visitor.signs_in("admin")
    assert faults(visitor, pages[share::SHARES]) == []


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("share", range(SHARES))
def test_everybody_can_work_every_page_on_a_telephone_in_the_other_colours(
    visitor: Visitor, pages: list[str], share: int
) -> None:
    visitor.signs_in("admin")
    visitor.page.set_viewport_size({"width": 375, "height": 800})
    wrong = []
    for path, (_, other) in by_turns(pages[share::SHARES]):
        visitor.opens(path)
        visitor.unfolds_everything()
        wrong += in_scheme(visitor, other)
    assert wrong == []


def test_everybody_can_read_and_work_what_shows_a_token_once(visitor: Visitor, admin: User) -> None:
    keys.ensure_key()
    visitor.signs_in("admin")
    page = visitor.opens("/devices/new")
    page.get_by_role("button", name="Issue the token").click()
    page.locator("#copy-token").wait_for()
    wrong = hard_to_use(visitor)
    page = visitor.opens("/settings/tokens/")
    page.get_by_label("What it is for").fill("laptop")
    page.get_by_role("button", name="Issue the token").click()
    page.locator("#copy-key").wait_for()
    assert wrong + hard_to_use(visitor) == []


@pytest.mark.thorough
def test_the_pages_of_somebody_who_has_nothing_yet(visitor: Visitor, operator: User) -> None:
    wrong = faults(visitor, ENTRANCE)
    visitor.signs_in("operator")
    assert wrong + faults(visitor, EMPTY) == []


def test_what_is_not_there_is_said_on_a_page_of_ours(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    for path in MISSING:
        assert faults(visitor, [path]) == []
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
    assert len(visitor.complaints) == len(MISSING)
    assert all("404" in one for one in visitor.complaints)
    visitor.complaints.clear()


def faults(visitor: Visitor, paths: Iterable[str]) -> list[str]:
    """Every other page is looked at in light, and those between in dark."""
    wrong = []
    for path, (scheme, _) in by_turns(paths):
        visitor.opens(path)
        visitor.unfolds_everything()
        wrong += in_scheme(visitor, scheme) + overflow(visitor)
    return wrong


def by_turns(paths: Iterable[str]) -> Iterable[tuple[str, tuple[Scheme, Scheme]]]:
    """Each with the one scheme and the other, which changes from one to the next."""
    return zip(paths, cycle(TURNS), strict=False)


def test_the_menu_opens_on_a_telephone(visitor: Visitor, operator: User) -> None:
    visitor.page.set_viewport_size({"width": 375, "height": 800})
    visitor.signs_in("operator")
    visitor.opens("/")
    link = visitor.page.get_by_role("navigation").get_by_role("link", name="Devices")
    expect(link).to_be_hidden()
    visitor.page.get_by_role("button", name="Menu").click()
    assert in_scheme(visitor, "light") == []
    link.click()
    expect(visitor.page).to_have_title("Devices · DeployX")


def test_the_first_tab_stop_leads_past_the_menu(visitor: Visitor, operator: User) -> None:
    visitor.signs_in("operator")
    visitor.opens("/")
    visitor.page.keyboard.press("Tab")
    skip = visitor.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_have_css("outline-style", "solid")


def test_a_page_says_which_language_it_is_in(german_visitor: Visitor) -> None:
    german_visitor.opens("/accounts/login/")
    expect(german_visitor.page.locator("html")).to_have_attribute("lang", "de")


@pytest.mark.thorough
def test_the_administrations_lists_fit_beside_their_filters(
    visitor: Visitor, pages: list[str]
) -> None:
    visitor.signs_in("admin")
    visitor.page.set_viewport_size({"width": 1280, "height": 800})
    for name in ("scheduledtask", "execution", "devicerun"):
        table = visitor.opens(f"/admin/scheduling/{name}/").locator(".results")
        assert table.evaluate("one => one.scrollWidth <= one.clientWidth"), name


@pytest.mark.thorough
def test_the_administration_works_under_the_same_policy(visitor: Visitor, pages: list[str]) -> None:
    visitor.signs_in("admin")
    for path in ("/admin/", "/admin/scheduling/scheduledtask/", "/admin/auth/user/add/"):
        page = visitor.opens(path)
        expect(page.locator("#site-name")).to_be_visible()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("model", "field"),
    [("scheduling/scheduledtask", "user"), ("devices/devicegroup", "people")],
)
def test_people_are_searched_for_in_the_administration(
    visitor: Visitor, admin: User, web_group: DeviceGroup, model: str, field: str
) -> None:
    factories.task(admin, groups=[web_group])
    visitor.signs_in("admin")
    visitor.opens(f"/admin/{model}/").locator("#result_list tbody th a").first.click()
    page = visitor.page
    box = page.locator(f".field-{field} .select2-selection")
    box.click()
    page.locator(".select2-search__field").last.fill("admin")
    option = page.locator(".select2-results__option", has_text="admin")
    expect(option).to_be_visible()
    option.click()
    expect(box).to_contain_text("admin")
