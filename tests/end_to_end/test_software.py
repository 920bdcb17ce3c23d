"""Software out of the catalogue on a device, by a real agent: a Debian package made here and put into a
root of its own, an archive with an install script, a shell installer."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningSystem

Run = Callable[..., dict[str, Any]]


def upload(system: RunningSystem, name: str, content: bytes) -> str:
    answer = system.api.post("/api/files", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def in_catalogue(
    system: RunningSystem, name: str, version: str, *, needs: tuple[str, ...] = (), **source: Any
) -> str:
    entry = system.post(
        "/api/software",
        {
            "name": name,
            "version": version,
            "dependency_ids": list(needs),
            "sources": [{"os": "linux"} | source],
        },
    )
    return str(entry["id"])


@pytest.fixture
def deployed(system: RunningSystem) -> Run:
    """Deploys software with an action; answers the one device's run."""

    def run(action: str, *software: str, **options: Any) -> dict[str, Any]:
        body = {
            "name": "Software",
            "task_type": "software_deployment",
            "device_ids": [system.device()["id"]],
            "software_payload": {"software_ids": list(software), "action": action},
            **options,
        }
        execution = system.post("/api/schedule/executions", body, status=202)
        return last_run(system, execution["id"])

    return run


def last_run(system: RunningSystem, execution_id: str) -> dict[str, Any]:
    ended = system.ended(execution_id)
    run = max(system.runs(ended["id"]), key=lambda one: int(one["attempt"]))
    return dict(run)


def states(run: dict[str, Any]) -> list[str]:
    return [step["state"] for step in run["detail"]["steps"]]


def installed(system: RunningSystem) -> dict[str, str]:
    """What the server knows to be on the device."""
    rows = system.get(f"/api/devices/{system.device()['id']}/software")["results"]
    return {row["name"]: row["version"] for row in rows}


class PrivateRoot:
    """A dpkg database and tree of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._work = folder / "work"
        (self.root / "var/lib/dpkg/info").mkdir(parents=True)
        (self.root / "var/lib/dpkg/updates").mkdir()
        (self.root / "var/lib/dpkg/status").touch()

    def package(self, version: str) -> bytes:
        tree = self._work / version
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            f"Package: deployx-probe\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: a probe\n"
        )
        (tree / "opt/probe").mkdir(parents=True)
        (tree / "opt/probe/version").write_text(version)
        target = self._work / f"{version}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", tree, target],
            check=True,
            capture_output=True,
        )
        return target.read_bytes()

    @property
    def source(self) -> dict[str, str]:
        dpkg = f"dpkg --root={self.root} --force-not-root --force-script-chrootless"
        query = f"dpkg-query --admindir={self.root}/var/lib/dpkg -W -f '${{Version}}' deployx-probe"
        return {
            "format": "deb",
            "install_command": f'PATH="$PATH:/sbin" {dpkg} -i "$DEPLOYX_FILE"',
            "uninstall_command": f"{dpkg} -P deployx-probe",
            "detect_command": query,
        }

    @property
    def version(self) -> str | None:
        path = self.root / "opt/probe/version"
        return path.read_text() if path.exists() else None


def test_a_debian_package_comes_is_recognised_upgraded_and_goes(
    system: RunningSystem, deployed: Run, tmp_path: Path
) -> None:
    private = PrivateRoot(tmp_path)
    ids = []
    for version in ("1.0-1", "2.0-1"):
        file = upload(system, "probe.deb", private.package(version))
        ids.append(in_catalogue(system, "Probe", version, file_id=file, **private.source))
    one, two = ids

    run = deployed("install", one)
    assert (run["status"], states(run)) == ("succeeded", ["installed"]), run
    assert private.version == "1.0-1"
    assert installed(system)["Probe"] == "1.0-1"
    again = deployed("install", one)
    assert (states(again), again["detail"]["changed"]) == (["already installed"], False)
    assert states(deployed("upgrade", two)) == ["upgraded"]
    assert (private.version, installed(system)["Probe"]) == ("2.0-1", "2.0-1")
    assert states(deployed("install", one)) == ["already installed"]
    assert states(deployed("upgrade", one)) == ["already up to date"]
    assert (private.version, installed(system)["Probe"]) == ("2.0-1", "2.0-1")
    assert states(deployed("uninstall", two)) == ["uninstalled"]
    assert private.version is None
    assert "Probe" not in installed(system)
    assert states(deployed("uninstall", two)) == ["not installed"]


def test_an_archive_installs_after_what_it_needs_and_wants_a_restart(
    system: RunningSystem, deployed: Run, tmp_path: Path
) -> None:
    archive = packed(
        install=f"echo $DEPLOYX_SOFTWARE_VERSION > {tmp_path}/tool; exit 7\n",
        uninstall=f"rm {tmp_path}/tool\n",
    )
    library = in_catalogue(
        system,
        "Library",
        "1",
        format="sh",
        file_id=upload(system, "library.sh", f"#!/bin/sh\ntouch {tmp_path}/library\n".encode()),
        detect_command=f"test -e {tmp_path}/library && echo 1",
    )
    file = upload(system, "tool.tar.gz", archive)
    tool, newer = (
        in_catalogue(
            system,
            "Tool",
            version,
            needs=(library,),
            format="tarball",
            file_id=file,
            detect_command=f"test -e {tmp_path}/tool && cat {tmp_path}/tool",
            reboot_exit_codes=[7],
        )
        for version in ("1.2", "1.10")
    )
    run = deployed("install", tool)
    assert (run["status"], states(run)) == ("succeeded", ["installed", "installed"]), run
    assert run["detail"]["reboot_required"]
    assert states(deployed("install", tool)) == ["already installed", "already installed"]
    assert states(deployed("upgrade", newer)) == ["already up to date", "upgraded"]
    assert installed(system)["Tool"] == "1.10"
    assert states(deployed("uninstall", newer)) == ["uninstalled"]
    assert "Tool" not in installed(system)
    assert not (tmp_path / "tool").exists()


def packed(**scripts: str) -> bytes:
    """An archive of one folder with these scripts in it."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, script in scripts.items():
            member = tarfile.TarInfo(f"tool/{name}.sh")
            member.size = len(script.encode())
            archive.addfile(member, io.BytesIO(script.encode()))
    return written.getvalue()


def test_a_shell_installer_upgrades_and_goes_by_the_command_of_its_source(
    system: RunningSystem, deployed: Run, tmp_path: Path
) -> None:
    script = f"#!/bin/sh\necho $DEPLOYX_SOFTWARE_VERSION > {tmp_path}/shell\n"
    file = upload(system, "shell.sh", script.encode())
    one, two = (
        in_catalogue(
            system,
            "Shell tool",
            version,
            format="sh",
            file_id=file,
            uninstall_command=f"rm {tmp_path}/shell",
            detect_command=f"test -e {tmp_path}/shell && cat {tmp_path}/shell",
        )
        for version in ("1.9", "1.10")
    )
    assert states(deployed("install", one)) == ["installed"]
    assert states(deployed("upgrade", two)) == ["upgraded"]
    assert installed(system)["Shell tool"] == "1.10"
    assert states(deployed("uninstall", two)) == ["uninstalled"]
    assert not (tmp_path / "shell").exists()


def test_a_retry_goes_on_with_the_step_that_failed(
    system: RunningSystem, deployed: Run, tmp_path: Path
) -> None:
    count = f"#!/bin/sh\necho x >> {tmp_path}/first\n"
    first = in_catalogue(
        system, "First", "1", format="sh", file_id=upload(system, "first.sh", count.encode())
    )
    flaky = f"#!/bin/sh\ntest -e {tmp_path}/again || {{ touch {tmp_path}/again; exit 3; }}\n"
    second = in_catalogue(
        system, "Second", "1", format="sh", file_id=upload(system, "second.sh", flaky.encode())
    )
    run = deployed("install", first, second, retry={"max_attempts": 2, "backoff_seconds": 1})
    assert (run["attempt"], run["status"]) == (2, "succeeded"), run
    assert states(run) == ["already installed", "installed"]
    assert (tmp_path / "first").read_text() == "x\n"


def test_so_does_a_retry_by_a_person(system: RunningSystem, deployed: Run, tmp_path: Path) -> None:
    count = f"#!/bin/sh\necho x >> {tmp_path}/first\n"
    first = in_catalogue(
        system, "Counted", "1", format="sh", file_id=upload(system, "first.sh", count.encode())
    )
    broken = f"#!/bin/sh\ntest -e {tmp_path}/mended\n"
    second = in_catalogue(
        system, "Broken", "1", format="sh", file_id=upload(system, "second.sh", broken.encode())
    )
    run = deployed("install", first, second)
    assert (run["status"], states(run)) == ("failed", ["installed", "failed"]), run
    for found in (["already installed", "failed"], ["already installed", "installed"]):
        execution = run["execution_id"]
        again = system.post(f"/api/schedule/executions/{execution}/retry", status=202)
        run = last_run(system, again["id"])
        assert states(run) == found, run
        (tmp_path / "mended").touch()
    assert (tmp_path / "first").read_text() == "x\n"


def test_what_has_no_source_here_or_no_room_says_so(system: RunningSystem, deployed: Run) -> None:
    elsewhere = in_catalogue(system, "Mac tool", "1", os="macos", format="brew", package_name="mac")
    run = deployed("install", elsewhere)
    assert "there is no source for linux" in run["detail"]["summary"]
    huge = system.post(
        "/api/software",
        {
            "name": "Huge",
            "version": "1",
            "requirements": {"free_disk_mb": 10_000_000},
            "sources": [{"os": "linux", "format": "apt", "package_name": "huge"}],
        },
    )
    run = deployed("install", huge["id"])
    assert "needs 10000000 MB of disk" in run["detail"]["summary"]
