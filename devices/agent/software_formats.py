"""The forms software comes in, and what both ends know about each."""

from __future__ import annotations

import re
from dataclasses import dataclass

SYSTEMS = (("linux", "Linux"), ("macos", "macOS"), ("windows", "Windows"))
ANY_ARCHITECTURE = "any"
# What dpkg, rpm, winget and brew call packages, and no more: it never begins with a dash, nor ends
# with one, which tells apt to remove.
PACKAGE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.+@/_-]{0,198}[A-Za-z0-9.+@/_])?")


@dataclass(frozen=True, slots=True)
class Format:
    """`systems` it works on; `is_packaged`: named to a package manager rather than fetched;
    `success` and `reboot` exit codes where a source names none of its own; `is_script`: the shell runs
    it; `tried_on`: the systems on which the tests really install it."""

    name: str
    label: str
    systems: tuple[str, ...]
    is_packaged: bool = False
    success: tuple[int, ...] = (0,)
    reboot: tuple[int, ...] = ()
    is_script: bool = False
    tried_on: tuple[str, ...] = ()

    @property
    def untested_on(self) -> tuple[str, ...]:
        return tuple(one for one in self.systems if one not in self.tried_on)


_WINDOWS_REBOOT = (1641, 3010)
FORMATS = {
    one.name: one
    for one in (
        Format("deb", "Debian package", ("linux",), tried_on=("linux",)),
        Format("rpm", "RPM package", ("linux",)),
        Format("msi", "Windows Installer", ("windows",), reboot=_WINDOWS_REBOOT),
        Format("exe", "Windows setup program", ("windows",), reboot=_WINDOWS_REBOOT),
        Format("pkg", "macOS package", ("macos",)),
        Format("sh", "Shell installer", ("linux", "macos"), is_script=True, tried_on=("linux",)),
        Format(
            "tarball",
            "Archive with an install script",
            ("linux", "macos"),
            is_script=True,
            tried_on=("linux",),
        ),
        Format("apt", "apt", ("linux",), is_packaged=True, tried_on=("linux",)),
        Format("dnf", "dnf", ("linux",), is_packaged=True),
        Format("winget", "winget", ("windows",), is_packaged=True, reboot=_WINDOWS_REBOOT),
        Format("brew", "Homebrew", ("macos",), is_packaged=True),
    )
}


def choices() -> list[tuple[str, str]]:
    return [(one.name, one.label) for one in FORMATS.values()]
