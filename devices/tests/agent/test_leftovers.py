from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import psutil
import pytest

from devices.agent.leftovers import RUN_VARIABLE, kill_leftovers

DETACHED = """
import os, sys, time
if os.fork():
    time.sleep(600)
os.setsid()
os.execve("/bin/sleep", ["sleep", "600"], {})
"""


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(processes: ExitStack, run: str, *argv: str) -> psutil.Process:
    process = processes.enter_context(subprocess.Popen(argv, env={RUN_VARIABLE: run}))
    processes.callback(process.kill)
    return psutil.Process(process.pid)


def test_all_of_a_run_is_killed_and_nothing_of_another(processes: ExitStack) -> None:
    ours, other = str(uuid4()), str(uuid4())
    one = start(processes, ours, "sleep", "600")
    another = start(processes, other, "sleep", "600")
    assert kill_leftovers(ours) == [one.pid]
    assert not one.is_running() or one.status() == psutil.STATUS_ZOMBIE
    assert another.is_running()


def test_what_a_process_of_the_run_started_with_no_environment_is_killed_too(
    processes: ExitStack,
) -> None:
    run = str(uuid4())
    one = start(processes, run, sys.executable, "-I", "-S", "-c", DETACHED)
    while not (children := one.children()) or children[0].name() != "sleep":
        assert one.is_running()
    (child,) = children
    assert set(kill_leftovers(run)) == {one.pid, child.pid}
    psutil.wait_procs([child], 60)
    assert not child.is_running()


def test_a_run_of_which_nothing_is_left_is_no_matter() -> None:
    assert kill_leftovers(str(uuid4())) == []
