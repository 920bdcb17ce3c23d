"""What is shown where a person looks: colours, a bar, and never a device's own escapes."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from scheduling import rollout
from scheduling.cli import following
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(*arguments: str) -> str:
    terminal = Terminal()
    call_command("schedule", *arguments, stdout=terminal, stderr=terminal)
    return terminal.getvalue()


@pytest.fixture(autouse=True)
def colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_terminal_gets_colours(admin: User, task: ScheduledTask) -> None:
    assert "\x1b[34mPending" in shown("list")


def test_whoever_wants_none_gets_none(
    admin: User, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[34m" not in shown("--no-color", "list")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[34m" not in shown("list")


def test_output_of_several_devices_goes_by_above_a_bar(
    admin: User, signer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [factories.device(f"web-{number}") for number in (1, 2)]
    task = factories.by_hand(admin, devices=devices)

    def carry_out(_spent_seconds: float) -> None:
        execution = Execution.objects.get()
        rollout.advance(execution.pk)
        for run in DeviceRun.objects.filter(status="queued"):
            factories.carry_out(run, output=b"\x1b[2J\x1b]0;evil\x07hello\n")
        rollout.advance(execution.pk)

    monkeypatch.setattr(following, "pause", carry_out)
    screen = shown("run", str(task.pk), "--wait")
    for name in ("web-1", "web-2"):
        assert f"{name} | " in screen
    assert screen.count("hello") == 2
    assert "\x1b[2J" not in screen
    assert "evil" not in screen
    assert "2/2" in screen
