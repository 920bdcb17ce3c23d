"""What axe has against a page, and whether it is too wide for a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Visitor

Scheme = Literal["light", "dark"]
COLOURS = ["color-contrast", "link-in-text-block"]
# What a list of hundreds of time zones shows is the browser's own, and takes long to look at.
HARM = """options => {
  document.querySelectorAll("datalist > option, option:not(:checked)").forEach(one => one.remove());
  return axe.run(options).then(found => found.violations);
}"""


def violations(visitor: Visitor, **options: Any) -> list[str]:
    page = visitor.page
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    # What is found is named by its HTML: a selector for each element would take a quarter of the time.
    options = {"resultTypes": ["violations"], "selectors": False, "preload": False, **options}
    found: list[dict[str, Any]] = page.evaluate(HARM, options)
    return [
        f"{visitor.page.url}: {one['id']}: {node['html']}" for one in found for node in one["nodes"]
    ]


def hard_to_read(visitor: Visitor) -> list[str]:
    """What axe has against the page in light; in dark, nothing but colours is other."""
    return in_scheme(visitor, "light") + in_scheme(visitor, "dark", rules=COLOURS)


def in_scheme(visitor: Visitor, scheme: Scheme, rules: Sequence[str] = ()) -> list[str]:
    """What axe has against the page in light or in dark, by these of its rules or by all."""
    visitor.page.emulate_media(color_scheme=scheme)
    return violations(visitor, **({"runOnly": rules} if rules else {}))


def overflow(visitor: Visitor) -> list[str]:
    """The page, where it is wider than a small telephone."""
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    found = [visitor.page.url] if visitor.page.evaluate(wider) else []
    visitor.page.set_viewport_size({"width": 1280, "height": 900})
    return found


def hard_to_use(visitor: Visitor) -> list[str]:
    """The page with all its folds open, in light, in dark and on a telephone."""
    visitor.unfolds_everything()
    return hard_to_read(visitor) + overflow(visitor)
