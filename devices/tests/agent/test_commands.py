"""The kind `command`, on a real agent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from devices.agent.platforms import account_name
from devices.agent.protocol import Outcome, Output, RejectCode, Result

from .conftest import Gate, eventually
from .fake_runs import Run
from .fake_server import FakeServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def done(device: FakeServer, payload: dict[str, Any], **terms: Any) -> tuple[Run, Result]:
    run = await device.do(payload, **terms)
    return run, await device.ended(run)


async def test_a_command_runs_and_its_output_and_result_arrive(device: FakeServer) -> None:
    run, result = await done(device, {"command": "echo hello; echo oops >&2; exit 3"})

    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 3)
    assert run.streams == {"stdout": b"hello\n", "stderr": b"oops\n"}
    assert result.output_length == 11
    assert result.output_sha256 == hashlib.sha256(run.output).hexdigest()
    assert run.results == 1


async def test_several_commands_run_in_order(device: FakeServer) -> None:
    run, result = await done(device, {"commands": ["echo one", "echo two", "echo three"]})

    assert (result.outcome, run.output) == (Outcome.SUCCEEDED, b"one\ntwo\nthree\n")
    assert [step["exit_code"] for step in result.detail["steps"]] == [0, 0, 0]


@pytest.mark.parametrize(("stops", "output"), [(True, b"a\n"), (False, b"a\nb\n")])
async def test_a_failure_stops_the_rest_or_does_not(
    device: FakeServer, stops: bool, output: bytes
) -> None:
    payload = {"commands": ["echo a; exit 7", "echo b"], "stop_on_failure": stops}

    run, result = await done(device, payload)

    assert (result.outcome, result.exit_code, run.output) == (Outcome.FAILED, 7, output)
    assert result.detail["summary"] == "command 1 of 2: exit code 7"


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("nonsense", 127)]
)
async def test_the_exit_code_is_the_commands_own(
    device: FakeServer, command: str, code: int
) -> None:
    _, result = await done(device, {"command": command})

    assert result.exit_code == code
    assert result.outcome is (Outcome.FAILED if code else Outcome.SUCCEEDED)


async def test_other_exit_codes_may_mean_success(device: FakeServer) -> None:
    wanted = {"success_exit_codes": [0, 100]}

    _, fine = await done(device, {"command": "exit 100", **wanted})
    _, wrong = await done(device, {"command": "exit 101", **wanted})

    assert (fine.outcome, fine.exit_code) == (Outcome.SUCCEEDED, 100)
    assert (wrong.outcome, wrong.exit_code) == (Outcome.FAILED, 101)


async def test_it_runs_in_its_directory(device: FakeServer, tmp_path: Path) -> None:
    run, _ = await done(device, {"command": "pwd", "working_directory": str(tmp_path)})

    assert run.output.decode().strip() == str(tmp_path)


async def test_a_missing_directory_is_said_to_be_missing(
    device: FakeServer, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"

    run, result = await done(device, {"command": "echo ran", "working_directory": str(gone)})

    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 127)
    assert result.detail["summary"] == f"there is no directory {gone}"
    assert run.output == b""


async def test_a_missing_shell_is_said_to_be_missing(device: FakeServer) -> None:
    _, result = await done(device, {"command": "echo ran", "shell": "cmd"})

    assert (result.outcome, result.detail["summary"]) == (Outcome.FAILED, "there is no program cmd")


async def test_the_shell_is_the_one_asked_for(device: FakeServer) -> None:
    asked = {"command": "echo ${BASH_VERSION:+bash}"}

    plain, _ = await done(device, {**asked, "shell": "sh", "environment": {"BASH_VERSION": ""}})
    bash, _ = await done(device, {**asked, "shell": "bash"})

    assert bash.output == b"bash\n"
    assert plain.output in (b"\n", b"bash\n")  # on some systems sh is bash


async def test_the_environment_is_built_anew(device: FakeServer) -> None:
    run, _ = await done(device, {"command": "env", "environment": {"COLOUR": "light blue"}})

    found = dict(line.split("=", 1) for line in run.output.decode().splitlines())
    assert found["COLOUR"] == "light blue"
    assert {"PATH", "HOME", "USER", "LANG"} <= set(found)
    assert not {"NOT_FOR_COMMANDS", "DEPLOYX_AGENT_POLICY", "PYTHONPATH"} & set(found)


async def test_every_command_finds_which_run_it_is_of(device: FakeServer) -> None:
    run = device.run({"command": "env | grep ^DEPLOYX_ | sort"}, attempt=3)
    await device.grant(run)
    await device.ended(run)

    said = dict(line.split("=", 1) for line in run.output.decode().splitlines())
    terms = run.parsed_terms
    assert said == {
        "DEPLOYX_RUN_ID": run.id,
        "DEPLOYX_EXECUTION_ID": terms["execution"],
        "DEPLOYX_TASK_ID": terms["task"],
        "DEPLOYX_SCHEDULED_FOR": terms["scheduled_for"],
        "DEPLOYX_ATTEMPT": "3",
    }


async def test_a_run_without_a_task_finds_empty_names(device: FakeServer) -> None:
    command = {"command": 'echo "[$DEPLOYX_TASK_ID$DEPLOYX_SCHEDULED_FOR]"'}

    run, _ = await done(device, command, task=None, scheduled_for=None)

    assert run.output == b"[]\n"


async def test_stdin_is_empty_and_files_get_the_usual_mode(
    device: FakeServer, tmp_path: Path
) -> None:
    command = f"wc -c; touch {tmp_path}/made; mkdir {tmp_path}/folder; umask"

    run, _ = await done(device, {"command": command})

    assert run.output.split() == [b"0", b"0022"]
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


async def test_output_may_be_any_bytes(device: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "bytes"

    run, result = await done(device, {"command": f"head -c 300000 /dev/urandom | tee {file}"})

    assert run.output == file.read_bytes()
    assert result.output_length == 300_000
    assert result.output_sha256 == hashlib.sha256(run.output).hexdigest()


async def test_output_comes_while_the_command_runs_and_in_order(
    device: FakeServer, gate: Gate
) -> None:
    command = f"echo a; {gate.wait}; echo bb >&2; {gate.wait}; echo c"
    run = await device.do({"command": command})

    for seen in (b"a\n", b"a\nbb\n"):
        await device.until(lambda seen=seen: run.output == seen, "a line")  # type: ignore[misc]
        assert run.result is None
        gate.open()
    await device.ended(run)

    chunks = [(one.offset, one.stream, one.data) for one in device.frames(Output, run)]
    assert chunks == [(0, "stdout", b"a\n"), (2, "stderr", b"bb\n"), (5, "stdout", b"c\n")]


async def test_what_a_command_leaves_in_the_background_lives_on(
    device: FakeServer, gate: Gate, tmp_path: Path
) -> None:
    file = tmp_path / "late"
    late = f"({gate.wait}; echo late; echo alive > {file}) &"

    run, result = await done(device, {"command": f"{late} echo started"})
    gate.open()

    assert (result.outcome, run.output) == (Outcome.SUCCEEDED, b"started\n")
    await eventually(file.exists)


async def test_it_runs_as_the_account_that_was_signed(device: FakeServer) -> None:
    me = account_name()

    run, result = await done(device, {"command": "id -un", "run_as": me}, run_as=me)

    assert (result.outcome, run.output.decode()) == (Outcome.SUCCEEDED, f"{me}\n")


async def test_two_runs_go_on_at_the_same_time(device: FakeServer, gate: Gate) -> None:
    one, two = [await device.do({"command": f"echo up; {gate.wait}"}) for _ in range(2)]

    await device.until(lambda: one.output == two.output == b"up\n", "both")
    gate.open()
    gate.open()

    assert (await device.ended(one)).outcome is Outcome.SUCCEEDED
    assert (await device.ended(two)).outcome is Outcome.SUCCEEDED


async def test_running_as_somebody_else_takes_the_devices_permission(device: FakeServer) -> None:
    run = await device.do({"command": "id", "run_as": "nobody"}, run_as="nobody")

    reject = await device.refused(run)

    assert reject.code is RejectCode.POLICY
