"""How each form of software is installed, upgraded, removed and found, where its source says nothing
else. Commands are lists of arguments; a name or a path comes after `--` wherever that is understood.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Argv = list[str]
_APT = [
    "apt-get",
    "-y",
    "-q",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "DPkg::Lock::Timeout=300",
    # A name that no package has is no regular expression for others that do.
    "-o",
    "APT::Cmd::Pattern-Only=true",
]
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be acted upon: the file on this device, if there is one, the package's name as its
    manager knows it, and the version that is wanted."""

    path: str
    package: str
    version: str


@dataclass(frozen=True, slots=True)
class Way:
    """Each answers a command line; None: this form has no such command of its own. `named` asks a
    package file for its package's name; the first word it prints is that name. `refresh` has a package
    manager learn what there is to be had."""

    install: Callable[[Subject], Argv] | None = None
    upgrade: Callable[[Subject], Argv] | None = None
    uninstall: Callable[[Subject], Argv] | None = None
    detect: Callable[[Subject], Argv] | None = None
    named: Callable[[Subject], Argv] | None = None
    refresh: Argv | None = None


def _deb_install(one: Subject) -> Argv:
    """Where apt is there, what the package needs comes with it; nothing is taken away for it."""
    if shutil.which("apt-get"):
        return [*_APT, "--no-remove", "install", "--", one.path]
    return ["dpkg", "--force-confold", "-i", "--", one.path]


def _deb_detect(one: Subject) -> Argv:
    # An uninstalled package that left its configuration has a version, too: the status tells.
    return ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", "--", one.package]


def _brew_detect(one: Subject) -> Argv:
    return ["brew", "list", "--versions", "--", one.package]


def _winget(*words: str) -> Callable[[Subject], Argv]:
    def argv(one: Subject) -> Argv:
        return ["winget", *words, "--exact", "--id", one.package, "--disable-interactivity"]

    return argv


WAYS: dict[str, Way] = {
    "deb": Way(
        install=_deb_install,
        upgrade=_deb_install,
        uninstall=lambda one: ["dpkg", "-r", "--", one.package],
        detect=_deb_detect,
        named=lambda one: ["dpkg-deb", "-f", one.path, "Package"],
    ),
    "rpm": Way(
        install=lambda one: ["rpm", "-U", "--replacepkgs", "--", one.path],
        upgrade=lambda one: ["rpm", "-U", "--", one.path],
        uninstall=lambda one: ["rpm", "-e", "--", one.package],
        detect=lambda one: ["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\n", "--", one.package],
        named=lambda one: ["rpm", "-qp", "--qf", "%{NAME}\n", "--", one.path],
    ),
    "apt": Way(
        install=lambda one: [*_APT, "install", "--", one.package],
        upgrade=lambda one: [*_APT, "install", "--only-upgrade", "--", one.package],
        uninstall=lambda one: [*_APT, "remove", "--", one.package],
        detect=_deb_detect,
        refresh=[*_APT, "update"],
    ),
    "dnf": Way(
        install=lambda one: ["dnf", "-y", "install", "--", one.package],
        upgrade=lambda one: ["dnf", "-y", "upgrade", "--", one.package],
        uninstall=lambda one: ["dnf", "-y", "remove", "--", one.package],
        detect=lambda one: ["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\n", "--", one.package],
    ),
    "brew": Way(
        install=lambda one: ["brew", "install", "--", one.package],
        upgrade=lambda one: ["brew", "upgrade", "--", one.package],
        uninstall=lambda one: ["brew", "uninstall", "--", one.package],
        detect=_brew_detect,
    ),
    "winget": Way(
        install=_winget(
            "install", "--silent", "--accept-package-agreements", "--accept-source-agreements"
        ),
        upgrade=_winget(
            "upgrade", "--silent", "--accept-package-agreements", "--accept-source-agreements"
        ),
        uninstall=_winget("uninstall", "--silent"),
        detect=_winget("list", "--accept-source-agreements"),
    ),
    "msi": Way(
        install=lambda one: ["msiexec", "/i", one.path, "/qn", "/norestart"],
        upgrade=lambda one: ["msiexec", "/i", one.path, "/qn", "/norestart"],
        uninstall=lambda one: ["msiexec", "/x", one.path, "/qn", "/norestart"],
    ),
    "exe": Way(),
    "pkg": Way(
        install=lambda one: ["installer", "-pkg", one.path, "-target", "/"],
        upgrade=lambda one: ["installer", "-pkg", one.path, "-target", "/"],
        detect=lambda one: ["pkgutil", "--pkg-info", one.package],
    ),
    "sh": Way(
        install=lambda one: ["sh", one.path],
        upgrade=lambda one: ["sh", one.path],
    ),
    "tarball": Way(
        install=lambda one: ["sh", "./install.sh"],
        upgrade=lambda one: ["sh", "./install.sh"],
        uninstall=lambda one: ["sh", "./uninstall.sh"],
    ),
}


def version_in(form: str, lines: Sequence[str], package: str) -> str | None:
    """The installed version in what a way's `detect` printed, None where that says it is not there."""
    if form == "winget":
        return _version_in_table(lines, package)
    if form == "pkg":
        return next(
            (line[8:].strip() or None for line in lines if line.startswith("version:")), None
        )
    words = (lines[0] if lines else "").split()
    if form in ("deb", "apt"):
        return words[1] if len(words) == 2 and words[0] == "installed" else None
    if form == "brew":
        return words[-1] if len(words) > 1 else None
    return words[0] if words else None


def _version_in_table(lines: Sequence[str], package: str) -> str | None:
    """winget's has a name, of which a word may be the id as well, the id, the version (perhaps as
    `> 1.2`), and more."""
    for line in lines:
        words = [one for one in line.split() if one not in ("<", ">")]
        places = [at for at, word in enumerate(words[:-1]) if word.casefold() == package.casefold()]
        if places:
            return words[places[-1] + 1]
    return None
