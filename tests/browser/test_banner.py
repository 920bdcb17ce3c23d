"""The banner that tells administrators what is not well, on pages that stay open."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import WebSocketRoute, expect

from scheduling import heartbeats
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("has_line", [True, False])
def test_it_comes_and_goes_on_an_open_page_and_what_is_typed_stays(
    patient_visitor: Visitor, admin: User, has_line: bool
) -> None:
    def hangs_up(socket: WebSocketRoute) -> None:
        socket.close()

    if not has_line:
        patient_visitor.page.route_web_socket("**/ws/live", hangs_up)
    heartbeats.record("worker", "one")
    heartbeats.record("beat", "one")
    patient_visitor.signs_in("admin")
    page = patient_visitor.opens("/groups/new")
    banner = page.get_by_text("No worker is at work")
    expect(banner).to_be_hidden()
    name = page.get_by_label("Name", exact=True)
    name.press_sequentially("canar")
    heartbeats.forget("worker", "one")
    expect(banner).to_be_visible()
    name.press_sequentially("ies")
    heartbeats.record("worker", "one")
    expect(banner).to_be_hidden()
    expect(name).to_be_focused()
    expect(name).to_have_value("canaries")
