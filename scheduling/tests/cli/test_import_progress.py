"""An import of many tasks says how far it is, where somebody looks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from rich.console import Console

from devices.models import DeviceGroup
from scheduling import clock, schedules
from scheduling.cli import porting
from scheduling.models import ScheduledTask
from scheduling.porting import apply, document, exporting
from scheduling.porting import plan as plans
from scheduling.tests import factories


@pytest.fixture
def exported(operator: User, web_group: DeviceGroup, tmp_path: Path) -> Path:
    """A file of three tasks that are no longer there."""
    tasks = [factories.task(operator, name=name, groups=[web_group]) for name in "abc"]
    path = tmp_path / "tasks.yaml"
    path.write_text(document.write(exporting.document_of(tasks, operator)))
    for task in tasks:
        schedules.delete(task, operator)
    return path


def imported(path: Path, user: User, *, is_terminal: bool) -> str:
    """What standard error shows."""
    shown = io.StringIO()
    remarks = Console(file=shown, force_terminal=is_terminal, width=80)
    options = {"file": str(path), "prune": False, "as_json": False, "dry_run": False, "yes": True}
    porting.import_(options, user, Console(file=io.StringIO()), remarks)
    assert ScheduledTask.objects.count() == 3
    return shown.getvalue()


def test_a_terminal_shows_how_far_it_is(operator: User, exported: Path) -> None:
    said = imported(exported, operator, is_terminal=True)
    assert "Importing" in said
    assert "100%" in said


def test_a_program_that_reads_along_is_spared_it(operator: User, exported: Path) -> None:
    assert imported(exported, operator, is_terminal=False) == ""


def test_each_step_is_heard_of_as_it_is_done(operator: User, exported: Path) -> None:
    plan = plans.of(document.read(exported.read_bytes()), operator, now=clock.now())
    heard: list[int] = []
    apply.carry_out(plan, operator, advance=lambda: heard.append(ScheduledTask.objects.count()))
    assert len(heard) == apply.PASSES * len(plan.steps)
    assert heard[:3] == [1, 2, 3]
