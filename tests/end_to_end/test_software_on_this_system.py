"""Debian's own package managers, with the commands that a source without any gets: on this very machine,
only where DEPLOYX_TEST_SYSTEM=1, as root, and leaving it as it was but for apt's lists."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_software import (
    PrivateRoot,
    in_catalogue,
    installed,
    last_run,
    states,
    upload,
)
from tests.running import RunningSystem

pytestmark = pytest.mark.system
NAME = "deployx-probe"
PREFIX = "deployx-apt-"
APT_LIST = Path("/etc/apt/sources.list.d/deployx-probe.list")


@pytest.fixture(autouse=True)
def this_machine() -> Iterator[None]:
    """Has nothing of ours before and after, even where a run before was killed in the middle."""
    assert os.environ.get("DEPLOYX_TEST_SYSTEM") == "1", "set DEPLOYX_TEST_SYSTEM=1 to allow it"
    assert os.geteuid() == 0, "packages are installed by root"
    cleared()
    assert version() is None
    yield
    cleared()


def cleared() -> None:
    subprocess.run(["dpkg", "-P", NAME], capture_output=True, check=False)
    APT_LIST.unlink(missing_ok=True)
    for known in Path("/var/lib/apt/lists").glob(f"*{PREFIX}*"):
        known.unlink()


@pytest.fixture
def repository() -> Iterator[Path]:
    """Where the account that apt uses for fetching may look."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def version() -> str | None:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", NAME]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    state, _, found = done.stdout.partition(" ")
    return found if state == "installed" else None


def deploy(system: RunningSystem, action: str, software: str) -> dict[str, Any]:
    body = {
        "name": "Software",
        "task_type": "software_deployment",
        "device_ids": [system.device()["id"]],
        "software_payload": {"software_ids": [software], "action": action},
    }
    return last_run(system, system.post("/api/schedule/executions", body, status=202)["id"])


def test_dpkg_installs_finds_upgrades_and_removes_a_file(
    system: RunningSystem, tmp_path: Path
) -> None:
    packages = PrivateRoot(tmp_path)
    one, two = (
        in_catalogue(
            system,
            "System probe",
            number,
            format="deb",
            file_id=upload(system, "probe.deb", packages.package(number)),
        )
        for number in ("1.0-1", "2.0-1")
    )
    assert states(deploy(system, "install", one)) == ["installed"]
    assert version() == "1.0-1"
    assert states(deploy(system, "install", one)) == ["already installed"]
    assert states(deploy(system, "upgrade", two)) == ["upgraded"]
    assert (version(), installed(system)["System probe"]) == ("2.0-1", "2.0-1")
    assert states(deploy(system, "uninstall", two)) == ["uninstalled"]
    assert version() is None
    assert states(deploy(system, "uninstall", two)) == ["not installed"]


def test_apt_installs_finds_upgrades_and_removes_by_name(
    system: RunningSystem, tmp_path: Path, repository: Path
) -> None:
    packages = PrivateRoot(tmp_path)
    offer(repository, packages.package("1.0-1"), "1.0-1")
    probe = in_catalogue(system, "Apt probe", "any", format="apt", package_name=NAME)
    assert states(deploy(system, "install", probe)) == ["installed"]
    assert version() == "1.0-1"
    offer(repository, packages.package("2.0-1"), "2.0-1")
    assert states(deploy(system, "install", probe)) == ["already installed"]
    assert states(deploy(system, "upgrade", probe)) == ["upgraded"]
    assert (version(), installed(system)["Apt probe"]) == ("2.0-1", "2.0-1")
    assert states(deploy(system, "uninstall", probe)) == ["uninstalled"]
    assert version() is None


def test_apt_takes_a_name_for_a_name(system: RunningSystem) -> None:
    pattern = in_catalogue(system, "Pattern", "1", format="apt", package_name="deployx.probe+")
    run = deploy(system, "install", pattern)
    assert (run["status"], states(run)) == ("failed", ["failed"])


def offer(repository: Path, package: bytes, number: str) -> None:
    """A package in a repository of one folder, which apt learns of when it looks."""
    (repository / f"{NAME}_{number}_all.deb").write_bytes(package)
    (repository / "Packages").write_bytes(index_of(repository))
    APT_LIST.write_text(f"deb [trusted=yes] file:{repository} ./\n")


def index_of(repository: Path) -> bytes:
    entries = []
    for path in sorted(repository.glob("*.deb")):
        fields = subprocess.run(
            ["dpkg-deb", "-f", path], capture_output=True, text=True, check=True
        )
        digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
        entries.append(
            f"{fields.stdout}Filename: ./{path.name}\nSize: {path.stat().st_size}\n"
            f"SHA256: {digest.stdout.split()[0]}\n"
        )
    return "\n".join(entries).encode()
