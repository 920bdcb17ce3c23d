"""Installers of Windows and macOS, whose programs are played here."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from devices.agent.kinds import JsonObject

from .device_context import DeviceContext
from .test_installing import do, entry, states


@pytest.fixture
def context(tmp_path: Path) -> DeviceContext:
    return DeviceContext(tmp_path / "agent", system="windows")


@pytest.fixture
def mac(tmp_path: Path) -> DeviceContext:
    return DeviceContext(tmp_path / "agent", system="macos")


def ends_with(
    code: int, context: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> list[list[str]]:
    """Every program does; answers those that ran."""
    ran: list[list[str]] = []

    def execute(argv: list[str], **_: Any) -> int:
        ran.append(list(argv))
        return code

    monkeypatch.setattr(context, "execute", execute)
    return ran


@pytest.mark.parametrize(
    ("code", "succeeded", "reboots"),
    [(0, True, False), (1641, True, True), (3010, True, True), (1603, False, False)],
)
@pytest.mark.parametrize("form", ["msi", "exe"])
def test_two_exit_codes_want_a_restart(
    context: DeviceContext,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    code: int,
    succeeded: bool,
    reboots: bool,
) -> None:
    ran = ends_with(code, context, monkeypatch)
    own: JsonObject = {"install_command": "& $env:DEPLOYX_FILE /S"} if form == "exe" else {}
    file = context.offer(b"setup", f"tool.{form}")

    done = do("install", context, entry(os="windows", format=form, file=file, **own))

    assert (done.succeeded, bool(done.reboot_required)) == (succeeded, reboots)
    assert states(done) == ["installed" if succeeded else "failed"]
    assert [argv[0] for argv in ran] == ["msiexec" if form == "msi" else "powershell"]


def test_a_setup_program_without_a_command_is_not_guessed_at(
    context: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = ends_with(0, context, monkeypatch)
    file = context.offer(b"setup", "tool.exe")
    done = do("install", context, entry(os="windows", format="exe", file=file))
    assert done.summary == "step 1 of 1, Tool 1: its source has no command to install it"
    assert ran == []


def on_a_mac(mac: DeviceContext, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where a package that was installed is known by the name org.tool; the programs that ran."""
    ran: list[str] = []

    def ask(argv: list[str], **_: Any) -> tuple[int, bytes]:
        is_there = "installer" in ran and argv[-1] == "org.tool"
        ran.append(argv[0])
        return (0, b"package-id: org.tool\nversion: 1\n") if is_there else (1, b"")

    def execute(argv: list[str], **_: Any) -> int:
        ran.append(argv[0])
        return 0

    monkeypatch.setattr(mac, "ask", ask)
    monkeypatch.setattr(mac, "execute", execute)
    return ran


def test_a_package_of_macos_is_found_by_its_name(
    mac: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = on_a_mac(mac, monkeypatch)
    file = mac.offer(b"package", "tool.pkg")
    tool = entry(os="macos", format="pkg", file=file, package_name="org.tool")
    assert states(do("install", mac, tool)) == ["installed"]
    assert states(do("install", mac, tool)) == ["already installed"]
    assert ran == ["pkgutil", "installer", "pkgutil", "pkgutil"]


def test_a_package_of_macos_without_a_name_is_installed_each_time(
    mac: DeviceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = on_a_mac(mac, monkeypatch)
    tool = entry(os="macos", format="pkg", file=mac.offer(b"package", "tool.pkg"))
    assert states(do("install", mac, tool)) == ["installed"]
    mac.execution = str(uuid.uuid4())
    assert states(do("install", mac, tool)) == ["installed"]
    assert ran == ["installer", "installer"]
