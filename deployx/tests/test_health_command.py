"""`manage.py health`, by which containers and timers ask."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from deployx import unheard
from scheduling import heartbeats
from scheduling.models import ServiceHeartbeat

pytestmark = pytest.mark.django_db
HERE = socket.gethostname()


def health(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[str]]:
    """The exit code, and the lines that were printed."""
    with pytest.raises(SystemExit) as ended:
        call_command("health", *argv)
    code = ended.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().out.splitlines()


def test_it_says_a_line_of_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    heartbeats.record("worker", f"worker@{HERE}:1")
    code, lines = health(capsys)
    assert code == 1
    assert [line.split()[:2] for line in lines[:3]] == [
        ["database", "ok"],
        ["redis", "ok"],
        ["worker", "ok"],
    ]
    assert lines[3].startswith("beat      NOT OK  No beat is at work")


def test_only_what_is_named_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert health(capsys, "database", "redis") == (0, ["database  ok", "redis     ok"])


def test_another_machines_worker_does_not_count_here(capsys: pytest.CaptureFixture[str]) -> None:
    heartbeats.record("worker", "worker@elsewhere:1")
    assert health(capsys, "worker")[0] == 0
    assert health(capsys, "--here", "worker")[0] == 1
    heartbeats.record("worker", f"worker@{HERE}:1")
    assert health(capsys, "--here", "worker")[0] == 0


def test_a_worker_does_not_speak_for_a_beat(capsys: pytest.CaptureFixture[str]) -> None:
    heartbeats.record("worker", f"worker@{HERE}:1")
    assert health(capsys, "--here", "beat")[0] == 1


def test_what_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert health(capsys, "nginx")[0] == 2


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a worker: `worker` is a word of its command line."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "worker"])
    yield process
    process.kill()
    process.wait()


def say_once(pid: int, *, ago: float) -> None:
    name = f"worker@{HERE}:{pid}"
    heartbeats.record("worker", name)
    seen_at = timezone.now() - timedelta(seconds=ago)
    ServiceHeartbeat.objects.filter(name=name).update(seen_at=seen_at)


def test_one_that_lives_without_working_is_ended(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sleeper: subprocess.Popen[bytes],
) -> None:
    monkeypatch.setattr(unheard, "UNHEARD_FOR_SECONDS", -1.0)
    say_once(sleeper.pid, ago=60)
    assert health(capsys, "--here", "--end-unheard", "worker")[0] == 1
    assert sleeper.wait(60) == -9


def test_a_young_process_and_another_program_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    say_once(sleeper.pid, ago=600)
    assert unheard.end_unheard("worker") == []
    monkeypatch.setattr(unheard, "UNHEARD_FOR_SECONDS", -1.0)
    ServiceHeartbeat.objects.all().delete()
    say_once(os.getpid(), ago=60)
    assert unheard.end_unheard("worker") == []
    assert sleeper.poll() is None
