"""Takes a picture of every page, light and dark, wide and narrow, into docs/img: `make screenshots`."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser import album, showcase
from tests.browser.conftest import Visitor
from tests.running import CHECKOUT

FOLDER = Path(os.environ.get("DEPLOYX_SCREENSHOTS") or CHECKOUT / "docs" / "img")
WIDTHS = (375, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MOST_PIXELS_HIGH = 2_200
# The addresses of the machine it is taken on are nobody's business.
RENAME = """address => {
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const text = words.currentNode;
    if (text.data.includes(address)) {
      text.data = text.data.replaceAll(address, "https://deployx.example.org");
    }
  }
}"""


@pytest.mark.timeout(3_600)
def test_every_page_is_taken(visitor: Visitor, admin: User) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    visitor.page.emulate_media(reduced_motion="reduce")
    places = album.addresses(showcase.build(admin))
    for name, path in album.ENTRANCE.items():
        _take(visitor, path, name)
    visitor.signs_in("admin")
    for name, path in places.items():
        _take(visitor, path, name)
    for name, path in album.MISSING.items():
        _take(visitor, path, name)
    assert all("404" in one for one in visitor.complaints)
    visitor.complaints.clear()
    visitor.opens("/tasks/").get_by_role("link", name="Schedule a task").first.click()
    visitor.page.get_by_role("dialog").wait_for()
    _pictures(visitor.page, "schedule-dialog")


def _take(visitor: Visitor, path: str, name: str) -> None:
    page = visitor.opens(path)
    if "?run=" in path:
        # What the run writes is asked for all the time.
        expect(page.get_by_role("log")).not_to_be_empty()
    else:
        page.wait_for_load_state("networkidle", timeout=60_000)
    page.evaluate(RENAME, visitor.address)
    _pictures(page, name)


def _pictures(page: Page, name: str) -> None:
    """Of the same page in every way it may look."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            _picture(page, f"{name}-{scheme}-{width}", width)


def _picture(page: Page, name: str, width: int) -> None:
    """As WebP, which Chromium writes but Playwright has no name for."""
    page.set_viewport_size({"width": width, "height": 800})
    high = min(page.evaluate("document.documentElement.scrollHeight"), MOST_PIXELS_HIGH)
    # What is as high as the window, as the menu is, then is as high as the picture.
    page.set_viewport_size({"width": width, "height": high})
    clip = {"x": 0, "y": 0, "width": width, "height": high, "scale": 1}
    taken = page.context.new_cdp_session(page).send(
        "Page.captureScreenshot",
        {"format": "webp", "quality": 70, "clip": clip, "captureBeyondViewport": True},
    )
    (FOLDER / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
