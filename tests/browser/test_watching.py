"""Executions watched and stopped in a browser while a real agent carries them out."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visitor, on_a_page_of
from tests.running import CHECKOUT, RunningSystem, running_system, until

pytestmark = pytest.mark.timeout(300)
SECONDS = 1_000
PATIENCE = 60 * SECONDS
WEB = ("uvicorn", "deployx.asgi:application")


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    # As long as a command may take to stop by itself once it was asked to.
    with running_system(DEPLOYX_AGENT_KILL_GRACE_SECONDS="120") as system:
        system.device()
        yield system


@dataclass
class Watcher:
    """The administrator, signed in at the running system."""

    visitor: Visitor
    system: RunningSystem

    @property
    def page(self) -> Page:
        return self.visitor.page

    def opens(self, path: str) -> Page:
        self.visitor.opens(path)
        self.visitor.waits_for_line()
        return self.page

    def watches(self, execution: dict[str, Any]) -> Page:
        return self.opens(f"/executions/{execution['id']}/")

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
    sentence = re.compile(r"Sign in as admin with the password (\S+)\n")
    said = until(lambda: sentence.search(system.log.read_text()), what="a first password")
    context = chromium.new_context(locale="en")
    context.set_default_timeout(PATIENCE)
    somebody = on_a_page_of(context, system.address)
    page = somebody.opens("/accounts/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(said[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{system.address}/")
    state = context.storage_state()
    context.close()
    assert not somebody.complaints
    return state


@pytest.fixture
def watcher(chromium: Browser, system: RunningSystem, signed_in: Any) -> Iterator[Watcher]:
    context = chromium.new_context(locale="en", storage_state=signed_in)
    context.set_default_timeout(PATIENCE)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor = on_a_page_of(context, system.address)
    yield Watcher(visitor, system)
    context.close()
    assert not visitor.complaints


def held_by(file: Path) -> str:
    """A command that writes a line, and its last one once the file is there."""
    return f"echo first; while [ ! -e {file} ]; do sleep 0.1; done; echo last"


def stubborn(file: Path) -> str:
    """A command that tells its process, and once asked to stop does so when the file is there."""
    wait = f"while [ ! -e {file} ]; do sleep 0.1; done"
    return f"trap '{wait}; exit' TERM; echo $$; while :; do sleep 0.1; done"


@contextmanager
def web_away(system: RunningSystem) -> Iterator[None]:
    """The web process is killed, and started again only afterwards."""
    supervisor = psutil.Process(system.process.pid)
    web = system.child(*WEB)
    supervisor.suspend()
    try:
        web.kill()
        yield
    finally:
        supervisor.resume()


def in_a_shell(system: RunningSystem, line: str) -> str:
    """What a pasted line prints, in the shell of somebody who has a token."""
    token = system.api.headers["Authorization"].removeprefix("Bearer ")
    assert "hunter2" not in line
    assert token not in line
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=CHECKOUT,
        env={**system.environment, "DEPLOYX_TOKEN": token, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def copied(page: Page, name: str) -> str:
    """What its button puts on the clipboard."""
    page.locator("details", has=page.locator(f"#{name}")).evaluate("one => one.open = true")
    button = page.locator(f"[data-copy={name}]")
    button.click()
    expect(button).to_have_text("Copied", timeout=PATIENCE)
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def ids_of_executions(system: RunningSystem) -> set[str]:
    return {one["id"] for one in system.get("/api/schedule/executions")["results"]}


def test_output_is_watched_while_the_agent_writes_it(watcher: Watcher, tmp_path: Path) -> None:
    page = watcher.watches(watcher.executes(held_by(tmp_path / "go")))
    output = page.get_by_role("log")
    expect(output).to_have_text("first\n", timeout=PATIENCE)
    expect(page.get_by_role("link", name="1 Running")).to_be_visible(timeout=PATIENCE)
    (tmp_path / "go").touch()
    expect(output).to_have_text("first\nlast\n", timeout=PATIENCE)
    expect(page.get_by_text("Ended.", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Success", timeout=PATIENCE)


def test_a_task_from_the_dialog_is_fired_and_goes_on_as_it_is_edited_and_resumed(
    watcher: Watcher, system: RunningSystem
) -> None:
    page = watcher.opens("/tasks/")
    page.get_by_role("link", name="Schedule a task").first.click()
    dialog = page.get_by_role("dialog", name="Schedule a task")
    dialog.get_by_label("Name", exact=True).fill("Often")
    dialog.get_by_label("Commands 1").fill("echo fired")
    dialog.get_by_role("checkbox", name=f"{system.device()['name']} Online").check()
    dialog.locator(".toggles").get_by_text("Interval", exact=True).click()
    dialog.get_by_label("Every", exact=True).fill("10")
    dialog.get_by_label("Unit", exact=True).first.select_option("seconds")
    dialog.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“Often” is scheduled.").wait_for()
    task = page.url
    runs = page.locator("section", has=page.get_by_role("heading", name="Executions"))
    runs = runs.locator("tbody tr")
    # Once beat has fired it; the page hears of it.
    runs.get_by_role("link").first.click()
    expect(page.get_by_role("log")).to_have_text("fired\n", timeout=PATIENCE)

    page.goto(task)
    page.get_by_role("button", name="Pause").first.click()
    page.get_by_text("“Often” is paused.").wait_for()
    page.get_by_role("link", name="Edit").first.click()
    page.get_by_label("Commands 1").fill("echo edited")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    before = system.executions(task.split("/")[-2])
    page.get_by_role("button", name="Resume").first.click()
    page.get_by_text("“Often” goes on.").wait_for()
    expect(runs).to_have_count(len(before) + 1, timeout=PATIENCE)
    runs.get_by_role("link").first.click()
    expect(page.get_by_role("log")).to_have_text("edited\n", timeout=PATIENCE)
    page.goto(task)
    page.get_by_role("button", name="Pause").first.click()
    page.get_by_text("“Often” is paused.").wait_for()


@pytest.mark.thorough
def test_outputs_are_downloaded(watcher: Watcher, system: RunningSystem) -> None:
    execution = watcher.executes("echo kept")
    system.ended(execution["id"])
    page = watcher.watches(execution)
    with page.expect_download() as of_one:
        page.get_by_role("link", name="Download", exact=True).click()
    assert Path(of_one.value.path()).read_text() == "kept\n"
    with page.expect_download() as of_all:
        page.get_by_role("link", name="Download outputs").click()
    assert Path(of_all.value.path()).read_text().endswith(": succeeded, exit code 0 <==\nkept\n")


def test_a_page_catches_up_by_itself_when_the_server_is_back(
    watcher: Watcher, system: RunningSystem, tmp_path: Path
) -> None:
    page = watcher.watches(watcher.executes(f"{held_by(tmp_path / 'go')}; touch {tmp_path}/ended"))
    expect(page.get_by_role("log")).to_have_text("first\n", timeout=PATIENCE)
    page.evaluate("window.isTheSame = true")
    note = page.get_by_text("The connection to the server is interrupted")
    with web_away(system):
        expect(note).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_text("The server does not answer.")).to_be_visible(timeout=PATIENCE)
        (tmp_path / "go").touch()
        until((tmp_path / "ended").exists, what="the end of the command")
    expect(page.get_by_role("log")).to_have_text("first\nlast\n", timeout=PATIENCE)
    # For its line, the page tries again after half a minute and more.
    expect(page.get_by_role("link", name="1 Succeeded")).to_be_visible(timeout=2 * PATIENCE)
    expect(note).to_be_hidden(timeout=PATIENCE)
    assert page.evaluate("window.isTheSame")
    # Of the server that was away the browser itself complains, and of nothing else.
    assert all("net::ERR_" in one for one in watcher.visitor.complaints)
    watcher.visitor.complaints.clear()


@pytest.mark.parametrize(
    ("link", "button", "meanwhile"),
    [
        ("Cancel…", "Cancel the execution", "Being cancelled"),
        pytest.param(*("Cancel: ", "Cancel the run", "Asked to stop"), marks=pytest.mark.thorough),
    ],
)
def test_what_runs_is_stopped_from_its_page(
    watcher: Watcher, tmp_path: Path, link: str, button: str, meanwhile: str
) -> None:
    page = watcher.watches(watcher.executes(stubborn(tmp_path / "go")))
    expect(page.get_by_role("log")).to_have_text(re.compile(r"\d+\n"), timeout=PATIENCE)
    process = psutil.Process(int(page.get_by_role("log").text_content() or ""))
    page.get_by_role("link", name=link).click()
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text(meanwhile)).to_be_visible(timeout=PATIENCE)
    assert process.is_running()
    (tmp_path / "go").touch()
    expect(page.get_by_role("link", name="1 Cancelled")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text(meanwhile)).to_be_hidden(timeout=PATIENCE)
    until(lambda: not process.is_running(), what="the end of the command")


@pytest.mark.thorough
def test_copied_lines_do_it_again_in_a_shell_and_tell_no_secret(
    watcher: Watcher, system: RunningSystem
) -> None:
    execution = watcher.executes('echo "it\'s $SECRET"')
    system.ended(execution["id"])
    page = watcher.watches(execution)
    before = ids_of_executions(system)
    names = ("lines-cli", "lines-curl", "run-lines-cli", "run-lines-curl")
    lines = [copied(page, name) for name in names]
    with ThreadPoolExecutor() as shells:
        list(shells.map(lambda line: in_a_shell(system, line), lines))
    again = ids_of_executions(system) - before
    assert [system.ended(one)["status"] for one in again] == ["success"] * len(lines)
    written = sorted(system.output(system.runs(one)[0]["id"])["text"] for one in again)
    # The task keeps its secret, the others are given what the page shows in its place.
    assert written == [*["it's ***\n"] * 3, "it's hunter2\n"]
    assert in_a_shell(system, copied(page, "run-lines-output")) == "it's hunter2\n"
