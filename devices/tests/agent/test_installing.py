"""Software on a device: found, installed, looked for again; real programs run in the test's folder."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from devices.agent import installing, kinds
from devices.agent.kinds import Finished, JsonObject
from devices.agent.protocol import Outcome, RejectCode

from .conftest import AgentProcess, eventually
from .device_context import DeviceContext
from .fake_server import FakeServer

KIND = kinds.get("software_deployment")


@pytest.fixture
def context(tmp_path: Path) -> DeviceContext:
    return DeviceContext(tmp_path / "agent")


def entry(name: str = "Tool", *, needs: JsonObject | None = None, **source: Any) -> JsonObject:
    given = {"os": "linux", "architecture": "any", "format": "sh", **source}
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "version": "1",
        "publisher": "",
        "requirements": needs or {},
        "sources": [given],
    }


def do(action: str, context: DeviceContext, *entries: JsonObject, **more: Any) -> Finished:
    order = {"software": list(entries), "action": action, **more}
    return KIND.run(KIND.accept(order), context)


def states(done: Finished) -> list[str]:
    return [str(step["state"]) for step in done.steps]


def test_the_first_step_that_fails_ends_it(context: DeviceContext, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = do(
        "install",
        context,
        entry("One", install_command=f"echo one >> {mark}"),
        entry("Two", install_command="exit 5"),
        entry("Three", install_command=f"echo three >> {mark}"),
    )
    assert states(done) == ["installed", "failed"]
    assert (done.exit_code, done.summary) == (5, "step 2 of 3, Two 1: exit code 5")
    assert mark.read_text() == "one\n"


@pytest.mark.parametrize(
    ("code", "succeeded", "reboots"), [(0, False, False), (3, True, False), (7, True, True)]
)
def test_exit_codes_mean_what_the_source_says(
    context: DeviceContext, code: int, succeeded: bool, reboots: bool
) -> None:
    codes: dict[str, Any] = {"success_exit_codes": [3], "reboot_exit_codes": [7]}
    done = do("install", context, entry(install_command=f"exit {code}", **codes))
    assert (done.succeeded, bool(done.reboot_required)) == (succeeded, reboots)


def test_a_system_that_asks_for_a_restart_in_the_course_of_a_step_wants_one(
    context: DeviceContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = tmp_path / "reboot-required"
    monkeypatch.setattr(installing, "_WANTS_REBOOT", asks)
    steps = [entry("One"), entry("Two"), entry("Three")]
    for step, command in zip(steps, ("true", f"touch {asks}", "true"), strict=True):
        step["sources"][0]["install_command"] = command
    done = do("install", context, *steps)
    assert [step.get("reboot_required") for step in done.steps] == [None, True, None]
    assert done.reboot_required


def test_a_detection_that_prints_nothing_found_it_all_the_same(context: DeviceContext) -> None:
    found = entry(install_command="exit 9", detect_command="true") | {"version": "?"}
    assert states(do("install", context, found)) == ["already installed"]


def test_what_is_not_found_afterwards_has_failed(context: DeviceContext) -> None:
    never = entry(install_command="true", detect_command="exit 1")
    done = do("install", context, never)
    assert not done.succeeded
    assert "not found afterwards" in done.summary
    still = entry(install_command="true", uninstall_command="true", detect_command="echo 3")
    assert "version 3 is still there" in do("uninstall", context, still).summary


@pytest.mark.parametrize(
    ("action", "command", "left"),
    [
        ("install", "exit 3", "0.9"),
        ("install", "rm $HERE; exit 3", None),
        ("install", "rm $HERE", None),
        ("upgrade", "echo 1.5 > $HERE; exit 3", "1.5"),
        ("uninstall", "true", "0.9"),
    ],
)
def test_what_a_step_that_failed_has_left_is_told(
    context: DeviceContext, tmp_path: Path, action: str, command: str, left: str | None
) -> None:
    there = tmp_path / "version"
    there.write_text("0.9")
    source: JsonObject = {f"{action}_command": command.replace("$HERE", str(there))}
    tool = entry(**source, detect_command=f"cat {there}")

    done = do(action, context, tool)

    assert states(done) == ["failed"]
    assert done.installed == ({"id": tool["id"], "name": "Tool", "version": left},)


def test_what_cannot_be_fetched_or_found_again_is_told_as_far_as_it_is_known(
    context: DeviceContext, tmp_path: Path
) -> None:
    gone = {"name": "gone", "sha256": "0" * 64, "size": 3}
    absent = entry(file=gone, install_command="true", detect_command="exit 1")
    done = do("install", context, absent)
    assert [one["version"] for one in done.installed] == [None]
    assert "has no such file" in done.summary
    unknown = do("install", context, entry(install_command="exit 3"))
    assert (states(unknown), unknown.installed) == (["failed"], ())


def test_a_command_that_is_missing_is_127(
    context: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert do("install", context, entry(install_command="no-such-program")).exit_code == 127
    gone = entry(format="dnf", package_name="tool")
    done = do("install", context, gone)
    assert not done.succeeded
    assert done.exit_code == 127


def test_who_installs_in_a_way_of_their_own_says_how_to_find_and_remove_it(
    context: DeviceContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The format's own commands would find and remove what stands elsewhere on the system."""
    asked: list[object] = []
    monkeypatch.setattr(context, "ask", lambda argv, **_: asked.append(argv))
    file = context.offer(b"a package", "tool.deb")
    own = entry(format="deb", file=file, install_command=f"touch {tmp_path}/tool")
    assert states(do("install", context, own)) == ["installed"]
    done = do("uninstall", context.another_run(), own)
    assert done.summary == "step 1 of 1, Tool 1: its source has no command to uninstall it"
    assert asked == []


def test_within_an_execution_nothing_that_worked_is_done_again(
    context: DeviceContext, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    tool = entry(install_command=f"echo in >> {log}", uninstall_command=f"echo out >> {log}")
    for action, again in (("install", "already installed"), ("uninstall", "not installed")):
        first = context.another_run()
        do(action, first, tool)
        retry = context.another_run(execution=first.execution)
        assert states(do(action, retry, tool)) == [again]
    assert log.read_text() == "in\nout\n"


def test_a_retry_repeats_nothing_that_worked_in_what_it_resumes(
    context: DeviceContext, tmp_path: Path
) -> None:
    log, mended = tmp_path / "log", tmp_path / "mended"
    one = entry("One", install_command=f"echo one >> {log}")
    two = entry("Two", install_command=f"test -e {mended} && echo two >> {log}")
    three = entry("Three", install_command=f"test -e {mended}/3")
    first, second, third = (context.another_run() for _number in range(3))
    assert states(do("install", first, one, two, three)) == ["installed", "failed"]
    mended.mkdir()
    resumes = [first.execution]
    done = do("install", second, one, two, three, resumes=resumes)
    assert states(done) == ["already installed", "installed", "failed"]
    (mended / "3").touch()
    resumes = [first.execution, second.execution]
    done = do("install", third, one, two, three, resumes=resumes)
    assert states(done) == ["already installed", "already installed", "installed"]
    assert log.read_text() == "one\ntwo\n"


def test_a_retry_of_what_succeeded_does_all_of_it_anew(
    context: DeviceContext, tmp_path: Path
) -> None:
    tool = entry(install_command="true")
    never = entry("Two", install_command="exit 3")
    failed, succeeded = context.another_run(), context.another_run()
    do("install", failed, tool, never)
    assert do("install", succeeded, tool, resumes=[failed.execution]).succeeded
    resumes = [failed.execution, succeeded.execution]
    assert states(do("install", context.another_run(), tool, resumes=resumes)) == ["installed"]


def test_what_it_needs_is_looked_at_first(context: DeviceContext, tmp_path: Path) -> None:
    for needs, said in (
        ({"free_disk_mb": 9_000_000}, "MB of disk"),
        ({"memory_mb": 9_000_000}, "MB of memory"),
    ):
        done = do("install", context, entry(needs=needs, install_command=f"touch {tmp_path}/x"))
        assert said in done.summary
    assert not (tmp_path / "x").exists()


def test_an_upgrade_leaves_alone_what_is_not_there(context: DeviceContext) -> None:
    absent = entry(install_command="exit 9", detect_command="exit 1")
    assert states(do("upgrade", context, absent)) == ["not installed"]


@pytest.mark.parametrize("there", ["2.0", "1.0.1", "1.0-1ubuntu2", "1.0"])
def test_what_is_there_in_this_or_a_newer_version_is_left_alone(
    context: DeviceContext, there: str
) -> None:
    tool = entry(install_command="exit 9", detect_command=f"echo {there}") | {"version": "1.0"}
    said = "" if there == "1.0" else f": version {there} is there"
    for action, state in (("install", "already installed"), ("upgrade", "already up to date")):
        done = do(action, context, tool)
        assert done.summary == f"Tool 1.0: {state}{said}"
        assert (done.changed, done.installed[0]["version"]) == (False, there)


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ("0.9", "1.0", "upgraded"),
        ("1.0~rc1", "1.0", "upgraded"),
        ("0.9", "0.8", "downgraded"),
        ("0.9", "0.9.0", "unchanged"),
        ("?", "1.0", "upgraded"),
    ],
)
def test_what_became_of_an_older_version_is_said(
    context: DeviceContext, tmp_path: Path, before: str, after: str, state: str
) -> None:
    version = tmp_path / "version"
    version.write_text(before)
    tool = entry(install_command=f"echo {after} > {version}", detect_command=f"cat {version}")
    done = do("upgrade", context, tool | {"version": "1.0"})
    assert (states(done), done.changed) == ([state], state != "unchanged")


def test_apt_looks_once_a_run_what_there_is_and_goes_on_without_an_answer(
    context: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def execute(argv: list[str], **_: Any) -> int:
        done.append(argv[-1])
        return 100 if argv[-1] == "update" else 0

    monkeypatch.setattr(context, "execute", execute)
    monkeypatch.setattr(
        context,
        "ask",
        lambda argv, **_: (0, b"installed 1.0" if argv[-1] in done else b"not-installed "),
    )
    entries = [entry(name, format="apt", package_name=name) for name in ("one", "two")]
    assert states(do("install", context, *entries)) == ["installed", "installed"]
    assert done == ["update", "one", "two"]


def test_a_file_that_is_no_package_is_said_to_be_none(context: DeviceContext) -> None:
    file = context.offer(b"nonsense", "tool.deb")
    done = do("install", context, entry(format="deb", file=file))
    assert done.summary == "step 1 of 1, Tool 1: the file is no deb package"


def test_the_file_has_its_own_name_and_is_alone(context: DeviceContext, tmp_path: Path) -> None:
    file = context.offer(b"content", "Setup Ä.run")
    command = f'cp "$DEPLOYX_FILE" {tmp_path}/copy; basename "$DEPLOYX_FILE"; ls'
    assert do("install", context, entry(file=file, install_command=command)).succeeded
    assert "Setup Ä.run\nSetup Ä.run\n".encode() in context.printed
    assert (tmp_path / "copy").read_bytes() == b"content"


PACKAGE: JsonObject = {"format": "deb", "package_name": "deployx-no-such-package"}


@pytest.mark.parametrize(
    ("source", "system"),
    [
        ({"format": "sh"}, "linux"),
        ({"format": "tarball"}, "linux"),
        ({"format": "exe", "os": "windows", "install_command": "setup"}, "windows"),
        *(
            ({**PACKAGE, f"{what}_command": "true"}, "linux")
            for what in ("install", "upgrade", "uninstall", "detect")
        ),
    ],
)
def test_commands_and_scripts_need_the_systems_own_shell(source: JsonObject, system: str) -> None:
    order = {"software": [entry(**PACKAGE), entry(**source)], "action": "install"}
    needs = KIND.requires(KIND.accept(order))

    shells = {one: needs.shell_on(one) for one in ("linux", "macos", "windows")}

    own = "powershell" if system == "windows" else "sh"
    assert shells == {**dict.fromkeys(shells, None), system: own}


async def test_a_device_without_that_shell_takes_packages_and_rejects_commands(
    server: FakeServer, agent: AgentProcess, tmp_path: Path
) -> None:
    (agent.state.path / "policy.toml").write_text('shells = ["bash"]\n')
    package = {"software": [entry(**PACKAGE)], "action": "uninstall"}
    commands = {"software": [entry(install_command=f"touch {tmp_path}/ran")], "action": "install"}

    rejected = await server.do(commands, kind="software_deployment")
    taken = await server.do(package, kind="software_deployment")

    reject = await server.refused(rejected)
    assert (reject.code, reject.detail) == (
        RejectCode.POLICY,
        "shell sh is not allowed on this device",
    )
    assert (await server.ended(taken)).detail["steps"][0]["state"] == "not installed"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("ends", "outcome"), [("cancel", "cancelled"), ("time", "timed_out")])
async def test_stopped_in_the_middle_everything_of_it_ends(
    server: FakeServer, agent: AgentProcess, tmp_path: Path, ends: str, outcome: str
) -> None:
    here = f"{tmp_path}/$DEPLOYX_RUN_ID"
    command = f'sh -c "echo \\$\\$ > {here}.new; mv {here}.new {here}; exec sleep 1000" & wait'
    first = entry("First", install_command="true")
    order = {"software": [first, entry(install_command=command)], "action": "install"}
    if ends == "cancel":
        run = await server.do(order, kind="software_deployment")
        await eventually((tmp_path / run.id).exists)
        server.cancels.add(run.id)
    else:
        run = await server.up_in_time(
            order, lambda run: (tmp_path / run.id).exists(), kind="software_deployment"
        )
    child = tmp_path / run.id
    result = await server.ended(run)
    assert result.outcome is Outcome(outcome)
    assert b"== install Tool 1" in run.output
    assert [step["state"] for step in result.detail["steps"]] == ["installed", "stopped"]
    assert result.detail["installed"] == [{"id": first["id"], "name": "First", "version": "1"}]
    assert result.detail["changed"] is True
    assert result.detail["summary"].startswith(("cancelled", "stopped at its time limit"))
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
