"""What "Run it again from a shell" shows, carried out by a shell: it does what the page shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from devices.models import Device
from scheduling import schedules, shell_lines
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories
from scheduling.tests.cli.test_subprocess import environment

pytestmark = pytest.mark.django_db(transaction=True)
OPTIONS: dict[str, Any] = {
    "rollout": {"strategy": "canary", "canary_size": "10%", "soak_seconds": 5},
    "retry": {"max_attempts": 3, "on_exit_codes": [7, 9]},
    "offline_policy": "skip",
    "expires_after_seconds": 60,
    "timeout_seconds": 120,
}
AWKWARD = 'it\'s $(id) `id` "x" \\ \n -- ; exit'


@pytest.fixture
def web_2() -> Device:
    return factories.device("web-2")


@pytest.fixture
def both(admin: User, web_device: Device, web_2: Device) -> ScheduledTask:
    return factories.task(
        admin, devices=[web_device, web_2], task_payload={"command": AWKWARD}, **OPTIONS
    )


def in_a_shell(execution: Execution, user: User, folder: Path) -> Execution:
    """Carries out the line for our command, without waiting for a worker; answers what it opened."""
    lines = shell_lines.of_execution(Execution.objects.get(pk=execution.pk), user)
    assert lines is not None
    python = folder / "python"
    if not python.exists():
        python.symlink_to(sys.executable)
    before = set(Execution.objects.values_list("pk", flat=True))
    path = f"{folder}:{environment()['PATH']}"
    done = subprocess.run(
        ["sh", "-c", lines.cli.replace(" --wait", "")],
        cwd=settings.BASE_DIR,
        env={**environment(), "PATH": path, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return Execution.objects.exclude(pk__in=before).get()


def devices_of(execution: Execution) -> set[str]:
    return set(execution.runs.values_list("device_name", flat=True))


def test_a_retry_is_done_again_on_its_devices_alone_and_as_often_as_one_likes(
    admin: User, both: ScheduledTask, web_2: Device, tmp_path: Path
) -> None:
    retry = factories.execution(both, trigger="retry", status="failed")
    factories.run(retry, web_2, status="failed")
    once, twice = (in_a_shell(retry, admin, tmp_path) for _time in range(2))
    assert devices_of(once) == devices_of(twice) == {"web-2"}
    assert once.task != twice.task
    for name in ("task_payload", *OPTIONS):
        assert once.definition[name] == retry.definition[name]


def test_a_task_as_it_was_is_run_itself_and_after_an_edit_what_ran_before(
    admin: User, both: ScheduledTask, tmp_path: Path
) -> None:
    first = factories.execution(both)
    lines, before = shell_lines.of_execution(first, admin), first.definition
    assert lines is not None
    assert lines.cli == f"python manage.py schedule run --wait --user admin -- {both.pk}"
    schedules.update(both, admin, {"task_payload": {"command": "rm -r /tmp/x"}}, partial=True)
    second = in_a_shell(first, admin, tmp_path)
    assert second.task != both
    assert {name: second.definition[name] for name in OPTIONS} == {
        name: before[name] for name in OPTIONS
    }
    assert second.definition["task_payload"] == before["task_payload"]


def test_options_that_are_what_a_task_has_anyway_are_left_out(
    admin: User, web_device: Device
) -> None:
    run = factories.run(factories.execution(factories.task(admin)), web_device)
    lines = shell_lines.of_run(run, admin)
    assert lines is not None
    assert "--set" not in lines.cli
