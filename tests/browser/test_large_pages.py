"""The list of 10,000 tasks and an execution on 50,000 devices are painted soon, and little is sent."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from devices.models import Device, DeviceGroup
from scheduling.models import Execution
from scheduling.tests.pages.test_at_size import MOST_BYTES, great
from scheduling.tests.pages.test_task_list_at_size import MANY, make
from tests.browser.conftest import Visitor

__all__ = ["great"]

pytestmark = pytest.mark.timeout(300)
MOST_MS = 1_000
TRIES = 3
FIRST_PAINT = """new Promise(resolve => new PerformanceObserver((found, observer) => {
  for (const { name, startTime } of found.getEntries()) {
    if (name === "first-contentful-paint") resolve(startTime), observer.disconnect();
  }
}).observe({ type: "paint", buffered: true }))"""
# The page with its styles and scripts, uncompressed; not what it asks for once it listens.
SENT = """["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
  .filter(({ initiatorType }) => !["xmlhttprequest", "fetch"].includes(initiatorType))
  .reduce((sum, { transferSize }) => sum + transferSize, 0)"""


def test_the_list_of_ten_thousand_tasks(
    visitor: Visitor, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    make(MANY, operator, web_group, web_device)
    is_light(visitor, "/tasks/")


def test_an_execution_on_fifty_thousand_devices(visitor: Visitor, great: Execution) -> None:
    is_light(visitor, great.get_absolute_url())


def is_light(visitor: Visitor, path: str) -> None:
    """For a browser that has nothing of it yet; the machine may have had something else to do while
    it painted, but not each time."""
    visitor.signs_in("operator")
    devtools = visitor.page.context.new_cdp_session(visitor.page)
    devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    paints = []
    for _again in range(1 + TRIES):
        page = visitor.opens(path)
        page.wait_for_load_state("networkidle")
        assert 0 < page.evaluate(SENT) < MOST_BYTES
        paints.append(page.evaluate(FIRST_PAINT))
        if paints[-1] < MOST_MS:
            return
    pytest.fail(f"first painted after {paints} ms")
