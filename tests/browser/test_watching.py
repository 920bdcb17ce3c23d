"""Executions watched in a browser while a real agent carries them out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import RunningSystem, running_system

pytestmark = pytest.mark.timeout(300)
SECONDS = 1_000
PATIENCE = 60 * SECONDS


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as system:
        system.device()
        yield system


@dataclass
class Watcher:
    """The administrator, signed in at the running system."""

    page: Page
    system: RunningSystem

    def opens(self, execution: dict[str, Any]) -> Page:
        self.page.goto(f"{self.system.address}/executions/{execution['id']}/")
        self.page.locator("html[data-line=open]").wait_for(state="attached")
        return self.page

    def executes(self, line: str) -> dict[str, Any]:
        body = {
            "name": "Watched",
            "task_type": "command",
            "command_payload": {"command": line, "environment": {"SECRET": "hunter2"}},
            "device_ids": [self.system.device()["id"]],
        }
        execution: dict[str, Any] = self.system.post("/api/schedule/executions", body, status=202)
        return execution


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, system: RunningSystem) -> Any:
    """What the browser keeps of a sign-in."""
    said = re.search(r"Sign in as admin with the password (\S+)", system.log.read_text())
    assert said is not None
    context = chromium.new_context(locale="en")
    page = context.new_page()
    page.goto(f"{system.address}/accounts/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(said[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{system.address}/")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def watcher(chromium: Browser, system: RunningSystem, signed_in: Any) -> Iterator[Watcher]:
    context = chromium.new_context(locale="en", storage_state=signed_in)
    context.set_default_timeout(PATIENCE)
    yield Watcher(context.new_page(), system)
    context.close()


def held_by(file: Path) -> str:
    """A command that writes a line, and its last one once the file is there."""
    return f"echo first; while [ ! -e {file} ]; do sleep 0.1; done; echo last"


def test_output_is_watched_while_the_agent_writes_it(watcher: Watcher, tmp_path: Path) -> None:
    page = watcher.opens(watcher.executes(held_by(tmp_path / "go")))
    output = page.get_by_role("log")
    expect(output).to_have_text("first\n", timeout=PATIENCE)
    expect(page.get_by_role("link", name="1 Running")).to_be_visible(timeout=PATIENCE)
    (tmp_path / "go").touch()
    expect(output).to_have_text("first\nlast\n", timeout=PATIENCE)
    expect(page.get_by_text("Ended.", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Success", timeout=PATIENCE)


def test_outputs_are_downloaded(watcher: Watcher, system: RunningSystem) -> None:
    execution = watcher.executes("echo kept")
    system.ended(execution["id"])
    page = watcher.opens(execution)
    with page.expect_download() as of_one:
        page.get_by_role("link", name="Download", exact=True).click()
    assert Path(of_one.value.path()).read_text() == "kept\n"
    with page.expect_download() as of_all:
        page.get_by_role("link", name="Download outputs").click()
    assert Path(of_all.value.path()).read_text().endswith(": succeeded, exit code 0 <==\nkept\n")
