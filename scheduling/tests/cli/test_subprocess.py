"""The same command as people run it: a process of its own, on the tests' database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from devices import keys
from scheduling import rollout
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.tests import factories

Process = subprocess.CompletedProcess[str]


def environment() -> dict[str, str]:
    """What makes a process of ours use the database this test uses."""
    place = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    return {
        **os.environ,
        "DATABASE_URL": urlunsplit(place._replace(path=f"/{name}")),
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "deployx.settings",
        "DEPLOYX_SECRET_KEY": settings.SECRET_KEY,
        "DEPLOYX_SIGNING_KEY_FILE": str(settings.DEPLOYX_SIGNING_KEY_FILE),
    }


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "schedule", *arguments],
        cwd=settings.BASE_DIR,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str) -> Process:
    process = start(*arguments)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.django_db(transaction=True)
def test_scripts_add_a_task_and_read_it_back() -> None:
    factories.person("root", is_administrator=True)
    factories.group("web", devices=[factories.device("web-1")])
    added = run(
        "add", "Disk space", "--command", "df -h", "--daily", "02:00", "--zone", "Europe/Berlin",
        "--group", "web", "--json",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    task = json.loads(added.stdout)
    assert ScheduledTask.objects.get().next_run_time is not None
    assert task["status"] == "pending"
    wrong = run("show", "no such task")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("task: ")


@pytest.mark.django_db(transaction=True)
def test_a_script_waits_and_gets_the_commands_own_exit_code() -> None:
    keys.ensure_key()
    admin: User = factories.person("root", is_administrator=True)
    task = factories.by_hand(admin, devices=[factories.device("web-1")])
    process = start("run", str(task.pk), "--wait")
    while not Execution.objects.filter(status="running", runs__isnull=False).exists():
        assert process.poll() is None, process.communicate()
    execution = Execution.objects.get()
    rollout.advance(execution.pk)
    factories.carry_out(execution.runs.get(), "failed", output=b"boom\n")
    DeviceRun.objects.update(exit_code=42)
    rollout.advance(execution.pk)
    out, err = process.communicate(timeout=240)
    assert out.startswith("boom\n"), err
    assert process.returncode == 42
