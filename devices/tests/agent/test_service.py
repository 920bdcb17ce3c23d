"""`deployx-agent install` and `uninstall`, with a systemctl that writes down what it is asked."""

from __future__ import annotations

import io
import subprocess
import sys
from configparser import RawConfigParser
from dataclasses import replace
from pathlib import Path

import pytest

from devices.agent import service, updating
from devices.agent.__main__ import main
from devices.agent.config import ConfigError, StateDir
from devices.agent.identity import Server, create_key, save_server
from devices.agent.journal import Journal
from devices.agent.service import NAME, ServiceFailed, Systemd, unit_text
from devices.agent.updating import Chosen, Offer

PROGRAM = Path("/opt/deployx-agent/venv/bin/deployx-agent")
KEY = "00" * 32
NEWER = Chosen("99.0", "ab" * 32, sys.executable)


class Systemctl:
    """A program of that name, first in PATH."""

    def __init__(self, folder: Path) -> None:
        self._asked = folder / "asked"
        self._program = folder / "systemctl"
        self.answers("echo running")

    def answers(self, script: str) -> None:
        self._program.write_text(f'#!/bin/sh\necho "$*" >> "{self._asked}"\n{script}\n')
        self._program.chmod(0o755)

    def asked(self) -> list[str]:
        """Since it was last looked at, without the question whether systemd runs."""
        lines = self._asked.read_text().splitlines() if self._asked.exists() else []
        self._asked.unlink(missing_ok=True)
        return [line.removeprefix("--quiet ") for line in lines if line != "is-system-running"]


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemctl:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Systemctl(folder)


@pytest.fixture
def systemd(systemctl: Systemctl, tmp_path: Path) -> Systemd:
    units = tmp_path / "units"
    units.mkdir()
    return Systemd(units=units)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """As enrolment leaves it."""
    state = StateDir(tmp_path / "state")
    state.create()
    create_key(state)
    save_server(state, Server("https://s", "wss://s/ws/agent", "1", "2", "web-1", KEY))
    return state


def read(unit: Path) -> RawConfigParser:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    return parser


def written(systemd: Systemd) -> tuple[int, int, int]:
    """Which file the unit is, and when it or its mode was last changed; to be read changes neither."""
    found = systemd.path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def test_installed_it_runs_now_and_at_each_boot(
    systemd: Systemd, systemctl: Systemctl, state: StateDir
) -> None:
    assert systemd.install(PROGRAM, state)

    assert systemctl.asked() == ["daemon-reload", f"enable {NAME}", f"restart {NAME}"]
    unit = read(systemd.path)
    assert unit["Service"]["ExecStart"] == f"{PROGRAM} run --state-dir {state.path}"
    assert (unit["Service"]["KillMode"], unit["Service"]["Restart"]) == ("process", "always")
    assert unit["Unit"]["After"] == "network-online.target"
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert systemd.path.stat().st_mode & 0o777 == 0o644


def test_installed_again_nothing_changes_and_nothing_is_interrupted(
    systemd: Systemd, systemctl: Systemctl, state: StateDir
) -> None:
    systemd.install(PROGRAM, state)
    before = written(systemd)
    systemctl.asked()

    assert not systemd.install(PROGRAM, state)

    assert systemctl.asked() == [f"enable {NAME}", f"start {NAME}"]
    assert written(systemd) == before


def test_an_update_of_the_program_starts_it_anew(
    systemd: Systemd, systemctl: Systemctl, state: StateDir
) -> None:
    systemd.install(PROGRAM, state)
    systemctl.asked()

    systemd.install(PROGRAM, state, restart=True)

    assert systemctl.asked() == [f"enable {NAME}", f"restart {NAME}"]


def test_what_systemd_says_is_passed_on(
    systemd: Systemd, systemctl: Systemctl, state: StateDir
) -> None:
    systemctl.answers(
        'case $* in *enable*) echo "Unit is masked." >&2; exit 1;; esac; echo degraded'
    )

    with pytest.raises(ServiceFailed, match=rf"systemctl enable {NAME}: Unit is masked\."):
        systemd.install(PROGRAM, state)


@pytest.mark.parametrize("answer", ["echo offline; exit 1", "exit 127"])
def test_without_systemd_it_says_what_to_do_instead_and_writes_nothing(
    systemd: Systemd, systemctl: Systemctl, state: StateDir, answer: str
) -> None:
    systemctl.answers(answer)

    with pytest.raises(ConfigError, match="deployx-agent run"):
        systemd.install(PROGRAM, state)

    assert not systemd.path.exists()
    assert systemctl.asked() == []


def test_where_there_is_no_systemctl_there_is_no_systemd(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigError, match="does not run systemd"):
        systemd.uninstall()


def test_uninstalled_it_is_stopped_first_and_the_unit_is_gone(
    systemd: Systemd, systemctl: Systemctl, state: StateDir
) -> None:
    systemd.install(PROGRAM, state)
    systemctl.asked()

    assert systemd.uninstall()
    assert systemctl.asked() == [f"disable --now {NAME}", "daemon-reload"]
    assert list(systemd.units.iterdir()) == []
    assert state.server.exists()
    assert not systemd.uninstall()


def test_a_folder_of_systemds_own_is_made_by_systemd() -> None:
    assert "StateDirectory=deployx-agent\nStateDirectoryMode=0700\n" in unit_text(
        PROGRAM, Path("/var/lib/deployx-agent")
    )
    assert "StateDirectory" not in unit_text(PROGRAM, Path("/srv/agent"))


def test_a_path_that_means_something_to_systemd_is_written_so_that_it_does_not() -> None:
    text = unit_text(PROGRAM, Path('/srv/a b/100% $HOME"'))

    assert '--state-dir "/srv/a b/100%% $$HOME\\""\n' in text
    with pytest.raises(ConfigError, match="cannot stand in a unit"):
        unit_text(PROGRAM, Path("/srv/a\nExecStartPre=/bin/evil"))


class TestBelowARoot:
    """The doors themselves; without --root they would change the machine of whoever tests."""

    @pytest.fixture(autouse=True)
    def _program(self, monkeypatch: pytest.MonkeyPatch, systemctl: Systemctl) -> None:
        monkeypatch.setattr(service, "program", lambda: PROGRAM)
        systemctl.answers("exit 1")

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "root"

    def test_install_writes_the_unit_and_asks_systemd_nothing(
        self, root: Path, state: StateDir, systemctl: Systemctl, capsys: pytest.CaptureFixture[str]
    ) -> None:
        unit = root / "etc/systemd/system" / NAME

        assert main(["install", "--root", str(root), "--state-dir", str(state.path)]) == 0
        assert main(["install", "--root", str(root), "--state-dir", str(state.path)]) == 0

        assert capsys.readouterr().out == f"wrote {unit}\nunchanged: {unit}\n"
        assert read(unit)["Service"]["ExecStart"].endswith(f"--state-dir {state.path}")
        assert systemctl.asked() == []

    def test_uninstall_keeps_the_identity_and_says_so(
        self, root: Path, state: StateDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["install", "--root", str(root), "--state-dir", str(state.path)])

        assert main(["uninstall", "--root", str(root), "--state-dir", str(state.path)]) == 0

        assert list((root / "etc/systemd/system").iterdir()) == []
        assert f"kept {state.path}" in capsys.readouterr().out
        assert state.server.exists()

    @pytest.mark.parametrize(("answer", "is_done"), [("y\n", True), ("\n", False), ("", False)])
    def test_purge_asks_and_without_a_yes_changes_nothing(
        self,
        root: Path,
        state: StateDir,
        monkeypatch: pytest.MonkeyPatch,
        answer: str,
        is_done: bool,
    ) -> None:
        main(["install", "--root", str(root), "--state-dir", str(state.path)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))

        code = main(["uninstall", "--purge", "--root", str(root), "--state-dir", str(state.path)])

        assert code == (0 if is_done else 1)
        assert state.path.exists() is not is_done
        assert (root / "etc/systemd/system" / NAME).exists() is not is_done

    def test_purge_leaves_alone_what_is_not_the_agents(
        self, root: Path, state: StateDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (state.path / "holiday.jpg").touch()
        where = ["--root", str(root), "--state-dir", str(state.path)]

        assert main(["uninstall", "--purge", "--yes", *where]) == 0

        assert [one.name for one in state.path.iterdir()] == ["holiday.jpg"]
        assert "except holiday.jpg" in capsys.readouterr().out

    def test_purge_takes_everything_that_an_agent_writes(
        self, root: Path, state: StateDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Journal(state.journal).close()
        updating.take(NEWER, state)
        updating.count_start(state)
        updating.refuse(Offer(NEWER.version, NEWER.sha256, 1), "why", state)
        for kept in (state.memory("file_deployment"), state.files, state.run("one")):
            kept.mkdir(parents=True)
            (kept / "content").touch()
        where = ["--root", str(root), "--state-dir", str(state.path)]

        assert main(["uninstall", "--purge", "--yes", *where]) == 0

        assert not state.path.exists()
        assert capsys.readouterr().out.endswith(f"purged {state.path}\n")

    def test_purge_does_not_take_the_state_from_under_a_running_agent(
        self, root: Path, state: StateDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        holder = (
            "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2);"
            "print(flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", holder, str(state.lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as agent:
            assert agent.stdout is not None
            agent.stdout.readline()
            where = ["--root", str(root), "--state-dir", str(state.path)]
            assert main(["uninstall", "--purge", "--yes", *where]) == 2
            agent.kill()

        assert "an agent is running" in capsys.readouterr().err
        assert state.server.exists()


@pytest.mark.parametrize(("version", "went_back"), [("99.0", True), ("0.1", False)])
def test_an_installed_agent_runs_itself_and_no_newer_one_that_came_by_itself(
    systemd: Systemd,
    systemctl: Systemctl,
    state: StateDir,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str,
    went_back: bool,
) -> None:
    monkeypatch.setattr(service, "Systemd", lambda root: systemd)
    monkeypatch.setattr(service, "program", lambda: PROGRAM)
    systemd.install(PROGRAM, state)
    updating.take(replace(NEWER, version=version), state)
    updating.count_start(state)
    systemctl.asked()

    assert main(["install", "--state-dir", str(state.path)]) == 0

    assert updating.newer(state) is None
    assert not any(path.exists() for path in updating.files(state))
    assert systemctl.asked() == [f"enable {NAME}", f"{'restart' if went_back else 'start'} {NAME}"]
    assert ("runs again" in capsys.readouterr().out) is went_back


def test_for_an_image_the_agent_of_this_machine_goes_on_as_it_is(
    systemctl: Systemctl, state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "program", lambda: PROGRAM)
    updating.take(NEWER, state)

    assert main(["install", "--root", str(tmp_path), "--state-dir", str(state.path)]) == 0

    assert updating.newer(state) == NEWER


def test_a_machine_that_is_no_device_yet_gets_no_service(
    tmp_path: Path, systemctl: Systemctl, capsys: pytest.CaptureFixture[str]
) -> None:
    systemctl.answers("echo offline")

    assert main(["install", "--state-dir", str(tmp_path / "nothing")]) == 2

    assert "not enrolled" in capsys.readouterr().err
