"""Cancel and timeout: the whole tree ends, whatever it did to get away."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devices.agent.platforms.linux import start_mark
from devices.agent.protocol import Cancel, Go, Outcome, Result, Start, Stop

from .conftest import AgentProcess, Gate, standing
from .fake_runs import Run
from .fake_server import FakeServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAEMON = """
import os, signal, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
os.chdir("/")
os.environ.clear()
os.closerange(0, 100)
with open(sys.argv[1], "w") as file: file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


@pytest.fixture
def daemonises(tmp_path: Path) -> str:
    """A command that leaves a daemon behind that heeds no signal, and says when it is there."""
    program, pids = tmp_path / "daemon.py", f"{tmp_path}/$DEPLOYX_RUN_ID"
    program.write_text(DAEMON)
    return (
        f"{sys.executable} {program} {pids}; until [ -s {pids} ]; do sleep 0.01; done; cat {pids}"
    )


async def daemon_of(device: FakeServer, run: Run) -> int:
    await device.until(lambda: run.output.endswith(b"\n"), "the daemon")
    pid = int(run.output)
    assert start_mark(pid) is not None
    return pid


async def cancelled(device: FakeServer, run: Run) -> Result:
    device.cancels.add(run.id)
    return await device.ended(run)


async def test_cancel_ends_the_command_and_the_daemon_it_left(
    device: FakeServer, daemonises: str
) -> None:
    run = await device.do({"command": f"{daemonises}; sleep 600"})
    daemon = await daemon_of(device, run)

    result = await cancelled(device, run)

    assert (result.outcome, result.exit_code) == (Outcome.CANCELLED, None)
    assert start_mark(daemon) is None


async def test_a_timeout_ends_the_command_and_the_daemon_it_left(
    device: FakeServer, daemonises: str
) -> None:
    def is_up(run: Run) -> bool:
        return run.output.endswith(b"\n") and start_mark(int(run.output)) is not None

    run = await device.up_in_time({"command": f"{daemonises}; sleep 600"}, is_up)
    daemon = int(run.output)

    result = await device.ended(run)

    assert (result.outcome, result.exit_code) == (Outcome.TIMED_OUT, None)
    assert result.detail["summary"] == "stopped at its time limit"
    assert start_mark(daemon) is None


async def test_the_time_limit_is_the_signed_one_even_if_go_says_more(device: FakeServer) -> None:
    run = device.run({"command": "sleep 600"}, timeout_seconds=1)
    run.timeout_seconds = 600

    await device.grant(run)

    assert (await device.ended(run)).outcome is Outcome.TIMED_OUT


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gentle(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FakeServer]:
    """The server of an agent that leaves what it ends all the time it may need."""
    folder = tmp_path_factory.mktemp("gentle")
    async with standing(folder, DEPLOYX_AGENT_KILL_GRACE_SECONDS="60") as agent:
        yield agent.server


async def test_a_command_may_tidy_up_when_it_is_asked_to_end(gentle: FakeServer) -> None:
    run = await gentle.do({"command": "trap 'echo tidied; exit 0' TERM; echo up; sleep 600 & wait"})
    await gentle.until(lambda: run.output == b"up\n", "the command")

    result = await cancelled(gentle, run)

    assert (result.outcome, run.output) == (Outcome.CANCELLED, b"up\ntidied\n")


async def test_one_that_heeds_no_signal_is_killed(device: FakeServer) -> None:
    run = await device.do({"command": "trap '' TERM; echo up; while true; do sleep 600; done"})
    await device.until(lambda: run.output == b"up\n", "the command")

    assert (await cancelled(device, run)).outcome is Outcome.CANCELLED


async def test_one_that_was_stopped_ends_as_well(gentle: FakeServer) -> None:
    tidies = "trap 'echo tidied; exit 0' TERM; echo up; kill -STOP $$; sleep 600"
    run = await gentle.do({"command": tidies})
    await gentle.until(lambda: run.output == b"up\n", "the command")

    result = await cancelled(gentle, run)

    assert (result.outcome, run.output) == (Outcome.CANCELLED, b"up\ntidied\n")


async def test_no_later_command_of_a_cancelled_run_starts(device: FakeServer) -> None:
    run = await device.do(
        {"commands": ["echo one; sleep 600", "echo two"], "stop_on_failure": False}
    )
    await device.until(lambda: run.output == b"one\n", "the first command")

    await cancelled(device, run)

    assert run.output == b"one\n"


async def test_what_ended_by_itself_was_not_cancelled(device: FakeServer, gate: Gate) -> None:
    run = await device.do({"command": f"echo up; {gate.wait}; exit 4"})
    await device.until(lambda: run.output == b"up\n", "the command")
    gate.open()
    await device.ended(run)

    await device.send(Cancel(run.id))
    await device.saw(Result, run, 2)

    assert all(one.outcome is Outcome.FAILED for one in device.frames(Result, run))


async def test_cancelled_together_with_its_go_it_ends_cancelled(
    device: FakeServer, standing_agent: AgentProcess, tmp_path: Path
) -> None:
    run = device.run({"command": f"echo up; sleep 600; touch {tmp_path}/ran"})
    device.answers_start = False
    try:
        await device.grant(run)
        await device.saw(Start, run)
        run.state = "running"
        os.kill(standing_agent.pid, signal.SIGSTOP)
        await device.send(Go(run.id, 60))
        await device.send(Cancel(run.id))
        os.kill(standing_agent.pid, signal.SIGCONT)

        assert (await device.ended(run)).outcome is Outcome.CANCELLED
        assert not (tmp_path / "ran").exists()
    finally:
        device.answers_start = True


async def test_cancelled_before_its_go_nothing_of_it_starts(
    device: FakeServer, tmp_path: Path
) -> None:
    run = device.run({"command": f"touch {tmp_path}/ran"})
    device.answers_start = False
    try:
        await device.grant(run)
        await device.saw(Start, run)
        await device.send(Cancel(run.id))
        run.state = "running"  # from here on a poll is answered with a GO as well
        await device.send(Go(run.id, 60))

        result = await device.ended(run)

        assert (result.outcome, result.output_length) == (Outcome.CANCELLED, 0)
        assert not (tmp_path / "ran").exists()
    finally:
        device.answers_start = True


async def test_a_claim_that_is_stopped_never_starts(device: FakeServer, tmp_path: Path) -> None:
    run = device.run({"command": f"touch {tmp_path}/ran"})
    device.answers_start = False
    try:
        await device.grant(run)
        await device.saw(Start, run)
        run.state = "cancelled"
        await device.send(Stop(run.id, "cancelled"))
        await device.send(Go(run.id, 60))
        later = await device.do({"command": "exit 0"})
        await device.saw(Start, later)

        assert not device.frames(Result, run)
        assert not (tmp_path / "ran").exists()
        device.answers_start = True
        assert (await device.ended(later)).outcome is Outcome.SUCCEEDED
    finally:
        device.answers_start = True
