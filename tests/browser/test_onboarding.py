"""From an empty installation to a first task: a machine arrives while its page is open."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, WebSocketRoute, expect

from devices import keys
from devices.models import EnrollmentToken
from scheduling import live, rollout
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor
from tests.running import CHECKOUT

SOON_SECONDS = 120
"""From an empty installation to a task that is scheduled, a machine's enrolment included."""


@dataclass
class Machine:
    """One with the agent on it, which is a real process."""

    folder: Path
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def enrols(self, server: str, token: str, name: str) -> None:
        line = [*self._line("enroll", server), "--token", "-", "--name", name]
        subprocess.run(
            line,
            input=token,
            text=True,
            cwd=CHECKOUT,
            env=self._environment,
            check=True,
            timeout=60,
        )

    def starts(self) -> None:
        with (self.folder / "agent.log").open("wb") as log:
            self.agents.append(
                subprocess.Popen(
                    self._line("run"), cwd=CHECKOUT, env=self._environment, stderr=log, stdout=log
                )
            )

    def stops(self) -> None:
        for agent in self.agents:
            agent.terminate()
            agent.wait(60)

    def _line(self, *argv: str) -> list[str]:
        state = str(self.folder / "state")
        return [sys.executable, "-m", "devices.agent", *argv, "--state-dir", state]

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.stops()


def asks_for_a_token(visitor: Visitor) -> Page:
    """As somebody does who has nothing yet; answers the page that waits for the machine."""
    keys.ensure_key()
    visitor.signs_in("admin")
    page = visitor.opens("/")
    page.get_by_role("link", name="Add a device").click()
    page.get_by_role("button", name="Issue the token").click()
    expect(page.get_by_text("Waiting for the machine")).to_be_visible()
    return page


def arrives(name: str) -> None:
    """A machine that enrolled with the only token there is."""
    token = EnrollmentToken.objects.get()
    EnrollmentToken.objects.filter(pk=token.pk).update(uses_count=1)
    factories.device(name, enrolled_with=token)


@pytest.mark.timeout(300)
def test_a_machine_is_greeted_as_it_arrives_and_soon_has_its_first_command_and_task(
    visitor: Visitor, admin: User, machine: Machine
) -> None:
    began = time.monotonic()
    page = asks_for_a_token(visitor)
    visitor.waits_for_line()
    machine.enrols(visitor.address, page.inner_text("#copy-token"), "kiosk-7")
    greeting = page.get_by_role("heading", name="Welcome, kiosk-7")
    expect(greeting).to_be_visible()
    expect(page.get_by_text("Waiting for the machine")).to_be_hidden()
    machine.starts()
    expect(greeting).to_contain_text("Online")

    page.get_by_role("link", name="Run a first command").click()
    page.get_by_role("button", name="Execute now").click()
    page.wait_for_url("**/executions/*/")
    rollout.advance(Execution.objects.get().pk)  # no worker runs beside this server
    output = page.get_by_role("log")
    expect(output).to_contain_text(os.uname().nodename)

    page.go_back()
    page.get_by_role("button", name="Schedule…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("My first task")
    dialog.get_by_role("button", name="Schedule task").click()
    page.get_by_text("“My first task” is scheduled.").wait_for()
    assert ScheduledTask.objects.listed().get().task_payload["commands"] == ["hostname"]
    assert time.monotonic() - began < SOON_SECONDS


@pytest.mark.thorough
def test_without_a_socket_the_page_asks_by_itself(visitor: Visitor, admin: User) -> None:
    def hangs_up(socket: WebSocketRoute) -> None:
        socket.close()

    visitor.page.route_web_socket("**/ws/live", hangs_up)
    page = asks_for_a_token(visitor)
    arrives("kiosk-7")
    expect(page.get_by_role("heading", name="Welcome, kiosk-7")).to_be_visible()


@pytest.mark.thorough
def test_without_javascript_a_look_again_shows_it_and_leads_to_a_first_task(
    plain_visitor: Visitor, admin: User
) -> None:
    page = asks_for_a_token(plain_visitor)
    arrives("kiosk-7")
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", name="Welcome, kiosk-7")).to_be_visible()
    page.get_by_role("link", name="Run a first command").click()
    page.get_by_role("button", name="Schedule…").click()
    page.get_by_label("Name", exact=True).fill("My first task")
    page.get_by_role("button", name="Schedule task").click()
    expect(page.get_by_role("heading", name="My first task")).to_be_visible()
    task = ScheduledTask.objects.get()
    assert task.task_payload["commands"] == ["hostname"]


@pytest.mark.thorough
def test_two_people_see_each_others_machine_change(visitor: Visitor, admin: User) -> None:
    page = asks_for_a_token(visitor)
    visitor.waits_for_line()
    arrives("kiosk-7")
    device = EnrollmentToken.objects.get().devices.get()
    live.changed("device", [device.pk])
    greeting = page.get_by_role("heading", name="Welcome, kiosk-7")
    expect(greeting).to_contain_text("Online")
    factories.go_offline(device)
    live.changed("device", [device.pk])
    expect(greeting).to_contain_text("Offline")
