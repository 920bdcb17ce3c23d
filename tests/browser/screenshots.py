"""Takes a picture of every page, light and dark, wide and narrow, into docs/img: `make screenshots`."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from tests.browser import showcase
from tests.browser.conftest import Visitor
from tests.running import CHECKOUT

FOLDER = Path(os.environ.get("DEPLOYX_SCREENSHOTS") or CHECKOUT / "docs" / "img")
FORMAT = os.environ.get("DEPLOYX_SCREENSHOTS_FORMAT", "webp")
ENTRANCE = {"sign-in": "/accounts/login/", "password-reset": "/accounts/password/reset/"}
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


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_taken(visitor: Visitor, admin: User, scheme: Any, width: int) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    places = showcase.build(admin)
    visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    visitor.page.set_viewport_size({"width": width, "height": 800})
    for name, path in ENTRANCE.items():
        _take(visitor, path, f"{name}-{scheme}-{width}")
    visitor.signs_in("admin")
    for name, path in places.items():
        _take(visitor, path, f"{name}-{scheme}-{width}")
    _take_dialog(visitor, f"schedule-dialog-{scheme}-{width}")


def _take(visitor: Visitor, path: str, name: str) -> None:
    page = visitor.opens(path)
    page.wait_for_load_state("networkidle")
    page.evaluate(RENAME, visitor.address)
    _picture(page, name)


def _take_dialog(visitor: Visitor, name: str) -> None:
    page = visitor.opens("/tasks/")
    page.get_by_role("link", name="New task").first.click()
    page.get_by_role("dialog").wait_for()
    page.wait_for_load_state("networkidle")
    _picture(page, name)


def _picture(page: Page, name: str) -> None:
    """As WebP, which Chromium writes but Playwright has no name for."""
    size = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollHeight]")
    height = min(max(800, size[1]), MOST_PIXELS_HIGH)
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height, "scale": 1}  # type: ignore[index]
    taken = page.context.new_cdp_session(page).send(
        "Page.captureScreenshot",
        {"format": FORMAT, "quality": 70, "clip": clip, "captureBeyondViewport": True},
    )
    (FOLDER / f"{name}.{FORMAT}").write_bytes(base64.b64decode(taken["data"]))
