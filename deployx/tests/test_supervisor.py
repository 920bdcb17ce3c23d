"""Programs are started, shown, started again when they die, and ended in the opposite order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deployx.supervisor import NeverReady, Program, Supervisor

WAITS = (
    "import time, signal; signal.signal(signal.SIGTERM, lambda *a: exit(0));"
    "print('up', flush=True); time.sleep(600)"
)


def python(name: str, code: str, **more: object) -> Program:
    return Program(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(said.append)
    yield supervisor
    supervisor.stop()


def watch(supervisor: Supervisor, condition: Callable[[], object]) -> None:
    assert supervisor.watch_until(lambda: bool(condition()), 60)


def test_one_that_dies_is_reported_and_started_again(
    supervisor: Supervisor, said: list[str]
) -> None:
    process = supervisor.start(python("web", WAITS))
    process.kill()
    watch(
        supervisor, lambda: supervisor.processes() and supervisor.processes()[0].pid != process.pid
    )
    assert said == ["web ended (signal 9); it is started again in 0.5 s."]


def test_one_that_keeps_dying_is_started_later_and_later(
    supervisor: Supervisor, said: list[str]
) -> None:
    supervisor.start(python("web", "exit(3)"))
    watch(supervisor, lambda: len(said) == 2)
    assert [line.rsplit(" in ")[1] for line in said] == ["0.5 s.", "1 s."]
    assert "exit code 3" in said[0]


def test_one_that_is_silent_is_started_again(supervisor: Supervisor, said: list[str]) -> None:
    silent = python("worker", WAITS, is_silent=lambda: True, silence_after_seconds=0.2)
    process = supervisor.start(silent)
    watch(supervisor, lambda: process.has_ended)
    assert said[0] == "worker lives but does no work; it is started again."


def test_one_that_is_never_ready_is_an_error(supervisor: Supervisor) -> None:
    with pytest.raises(NeverReady, match="web ended with 3"):
        supervisor.start(python("web", "exit(3)", is_ready=lambda: False))
    with pytest.raises(NeverReady, match="beat was not ready"):
        supervisor.start(python("beat", WAITS, is_ready=lambda: False), ready_within_seconds=0.1)


def test_lines_carry_the_name_of_who_said_them(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor.start(python("web", "import os; os.write(1, b'one\\ntwo \\xff'); " + WAITS))
    shown = ""

    def both() -> bool:
        nonlocal shown
        shown += capfd.readouterr().out
        return "up" in shown

    watch(supervisor, both)
    assert shown == "web      | one\nweb      | two �up\n"


def test_they_end_in_the_opposite_order(said: list[str], tmp_path: Path) -> None:
    supervisor = Supervisor(said.append)
    log = tmp_path / "order"
    for name in ("first", "second"):
        code = f"""
            import signal, time
            def end(*args):
                open({str(log)!r}, "a").write({name!r} + "\\n")
                exit(0)
            signal.signal(signal.SIGTERM, end)
            open({str(tmp_path / name)!r}, "w").close()
            time.sleep(600)
        """
        supervisor.start(
            python(
                name,
                textwrap.dedent(code),
                is_ready=(tmp_path / name).exists,
                patience_seconds=60.0,
            )
        )
    supervisor.stop()
    assert log.read_text().split() == ["second", "first"]


def test_one_that_does_not_want_to_end_is_killed(said: list[str], tmp_path: Path) -> None:
    supervisor = Supervisor(said.append)
    ready = tmp_path / "ready"
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"open({str(ready)!r}, 'w').close(); time.sleep(600)"
    )
    process = supervisor.start(
        python("worker", stubborn, is_ready=ready.exists, patience_seconds=0.2)
    )
    supervisor.stop()
    assert process.has_ended
    assert said == ["worker does not end; it is killed."]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"""
        import sys, time
        from deployx.supervisor import Program
        process = Program("child", (sys.executable, "-c", {WAITS!r})).start()
        draft = {str(pid_file)!r} + ".new"
        open(draft, "w").write(str(process.pid))
        import os
        os.rename(draft, {str(pid_file)!r})
        time.sleep(600)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not pid_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = psutil.Process(int(pid_file.read_text()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    child.wait(60)
