"""A file uploaded in pieces, with the connection cut, a pause and a reload in between."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from scheduling.models import StoredFile, Upload
from tests.browser.conftest import Visitor

MIB = 1024 * 1024
CONTENT = os.urandom(20 * MIB)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "image.bin"
    path.write_bytes(CONTENT)
    return path


def choose(page: Page, path: Path) -> None:
    page.get_by_label("File", exact=True).set_input_files(path)
    page.get_by_role("button", name="Upload").click()


def test_an_upload_goes_on_after_a_cut_a_pause_and_a_reload(
    visitor: Visitor, operator: User, big: Path
) -> None:
    """Three pieces: the second is cut off, and goes on its way only after page and file came anew."""
    offsets: list[str] = []

    def cut(route: Route) -> None:
        if route.request.method == "PATCH":
            offsets.append(route.request.headers["upload-offset"])
            if len(offsets) > 1:
                return route.abort()
        return route.continue_()

    visitor.signs_in("operator")
    page = visitor.opens("/files/new")
    page.route("**/api/files/uploads/*", cut)
    choose(page, big)
    expect(page.get_by_text("Trying again")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status").last).to_have_text("Paused at 40 %")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()
    assert Upload.objects.get().received == 8 * MIB

    page.unroute("**/api/files/uploads/*")
    page.on("request", lambda request: offsets.append(request.headers.get("upload-offset", "")))
    page.reload()
    del offsets[:]
    choose(page, big)
    page.wait_for_url("**/files/*-*/")
    assert [one for one in offsets if one] == [str(8 * MIB), str(16 * MIB)]
    expect(page.get_by_text(hashlib.sha256(CONTENT).hexdigest())).to_be_visible()
    assert StoredFile.objects.get().name == "image.bin"
    with page.expect_download() as brought:
        page.get_by_role("link", name="Download").click()
    assert brought.value.suggested_filename == "image.bin"
    assert brought.value.path().read_bytes() == CONTENT
    # Of the cut the browser itself complains, and of nothing else.
    assert all("ERR_FAILED" in one for one in visitor.complaints)
    visitor.complaints.clear()


@pytest.mark.thorough
def test_what_the_server_refuses_is_said(visitor: Visitor, operator: User, big: Path) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/files/new")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert").last).to_have_text("Choose a file.")
    page.get_by_label("Name").fill("x" * 255)
    page.evaluate("document.querySelector('#id_name').value = 'a\\u202eb'")
    choose(page, big)
    expect(page.get_by_role("alert").last).to_contain_text("control characters")
    assert all("400" in one for one in visitor.complaints)
    visitor.complaints.clear()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"content_type": "application/json", "body": '{"detail": "The disk is full."}'},
            "is full",
        ),
        ({"content_type": "text/html", "body": "<h1>Bad Gateway</h1>"}, "does not answer"),
    ],
    ids=["the server's word", "a proxy's page"],
)
def test_why_it_waits_is_said_and_then_it_goes_on(
    visitor: Visitor, operator: User, big: Path, answer: dict[str, str], said: str
) -> None:
    visitor.signs_in("operator")
    page = visitor.opens("/files/new")
    page.route("**/api/files/uploads", lambda route: route.fulfill(status=503, **answer))
    choose(page, big)
    expect(page.get_by_role("status").last).to_contain_text(said)
    page.unroute("**/api/files/uploads")
    page.wait_for_url("**/files/*-*/")
    assert all("503" in one for one in visitor.complaints)
    visitor.complaints.clear()


@pytest.mark.thorough
def test_without_javascript_a_file_is_uploaded_whole(
    plain_visitor: Visitor, operator: User, tmp_path: Path
) -> None:
    (tmp_path / "motd").write_text("hello\n")
    plain_visitor.signs_in("operator")
    page = plain_visitor.opens("/files/new")
    choose(page, tmp_path / "motd")
    expect(page.get_by_role("heading", name="motd")).to_be_visible()
