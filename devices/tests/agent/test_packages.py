"""The commands of each form of software, and what its detection prints."""

from __future__ import annotations

import pytest

from devices.agent.packages import WAYS, Subject, version_in
from devices.agent.software_formats import FORMATS

WINGET = """\
   -
Name           Id   Version Available Source
--------------------------------------------
The Tool (x64) Tool {there}  winget
"""
SUBJECT = Subject("/run/tool.pkg", "tool", "1.0")
ACTIONS = ("install", "upgrade", "uninstall", "detect")
APT = (
    "apt-get -y -q -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300"
    " -o APT::Cmd::Pattern-Only=true"
)
DEB_DETECT = "dpkg-query -W -f ${db:Status-Status}§${Version}\n -- tool"
RPM_DETECT = "rpm -q --qf %{VERSION}-%{RELEASE}\n -- tool"
AGREED = "--silent --accept-package-agreements --accept-source-agreements"
OF_WINGET = "--exact --id tool --disable-interactivity"
COMMANDS: dict[str, tuple[str | None, ...]] = {
    "deb": (
        f"{APT} --no-remove install -- /run/tool.pkg",
        f"{APT} --no-remove install -- /run/tool.pkg",
        "dpkg -r -- tool",
        DEB_DETECT,
    ),
    "rpm": (
        "rpm -U --replacepkgs -- /run/tool.pkg",
        "rpm -U -- /run/tool.pkg",
        "rpm -e -- tool",
        RPM_DETECT,
    ),
    "apt": (
        f"{APT} install -- tool",
        f"{APT} install --only-upgrade -- tool",
        f"{APT} remove -- tool",
        DEB_DETECT,
    ),
    "dnf": (
        "dnf -y install -- tool",
        "dnf -y upgrade -- tool",
        "dnf -y remove -- tool",
        RPM_DETECT,
    ),
    "brew": (
        "brew install -- tool",
        "brew upgrade -- tool",
        "brew uninstall -- tool",
        "brew list --versions -- tool",
    ),
    "winget": (
        f"winget install {AGREED} {OF_WINGET}",
        f"winget upgrade {AGREED} {OF_WINGET}",
        f"winget uninstall --silent {OF_WINGET}",
        f"winget list --accept-source-agreements {OF_WINGET}",
    ),
    "msi": (
        "msiexec /i /run/tool.pkg /qn /norestart",
        "msiexec /i /run/tool.pkg /qn /norestart",
        "msiexec /x /run/tool.pkg /qn /norestart",
        None,
    ),
    "exe": (None, None, None, None),
    "pkg": (
        "installer -pkg /run/tool.pkg -target /",
        "installer -pkg /run/tool.pkg -target /",
        None,
        "pkgutil --pkg-info tool",
    ),
    "sh": ("sh /run/tool.pkg", "sh /run/tool.pkg", None, None),
    "tarball": ("sh ./install.sh", "sh ./install.sh", "sh ./uninstall.sh", None),
}


@pytest.mark.parametrize(
    ("form", "printed", "version"),
    [
        ("deb", "installed 1.2-3\n", "1.2-3"),
        ("deb", "config-files 1.2-3\n", None),
        ("deb", "not-installed \n", None),
        ("deb", "half-installed 1.2\n", None),
        ("apt", "installed 2:8.1\n", "2:8.1"),
        ("apt", "", None),
        ("rpm", "1.0-1.el9\n", "1.0-1.el9"),
        ("rpm", "", None),
        ("dnf", "1.0-1.el9\n1.0-2.el9\n", "1.0-1.el9"),
        ("brew", "wget 1.24.5\n", "1.24.5"),
        ("brew", "python 3.11.1 3.12.0\n", "3.12.0"),
        ("brew", "wget\n", None),
        ("pkg", "package-id: org.tool\nversion: 1.2 3\nvolume: /\n", "1.2 3"),
        ("pkg", "package-id: org.tool\nversion: \n", None),
        ("pkg", "", None),
        ("winget", WINGET.format(there="128.0.2 129.0"), "128.0.2"),
        ("winget", WINGET.format(there="> 8.3.1"), "8.3.1"),
        ("winget", "No installed package found matching input criteria.\n", None),
    ],
)
def test_the_version_is_found_in_what_was_printed(
    form: str, printed: str, version: str | None
) -> None:
    assert version_in(form, printed.splitlines(), "tool") == version


def words(line: str) -> list[str]:
    """§ is a space within a word."""
    return [word.replace("§", " ") for word in line.split(" ")]


def test_every_form_has_its_ways_and_none_is_made_up() -> None:
    assert set(WAYS) == set(FORMATS)


@pytest.mark.parametrize("form", WAYS)
def test_the_commands_of_every_form_are_these_to_the_word(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    commands = [getattr(WAYS[form], action) for action in ACTIONS]
    said = [command and command(SUBJECT) for command in commands]
    assert said == [line and words(line) for line in COMMANDS[form]]
    assert WAYS[form].refresh == (f"{APT} update".split(" ") if form == "apt" else None)


@pytest.mark.parametrize("form", WAYS)
def test_a_name_or_path_of_several_words_is_one_argument(form: str) -> None:
    for action in (*ACTIONS, "named"):
        if (command := getattr(WAYS[form], action)) is not None:
            argv, parted = command(SUBJECT), command(Subject("/a b/c d", "e f", "1 0"))
            assert len(argv) == len(parted)


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("deb", "dpkg-deb -f /run/tool.pkg Package"),
        ("rpm", "rpm -qp --qf %{NAME}\n -- /run/tool.pkg"),
    ],
)
def test_a_package_file_is_asked_for_its_name(form: str, line: str) -> None:
    named = WAYS[form].named
    assert named is not None
    assert named(SUBJECT) == line.split(" ")
    assert {one for one, way in WAYS.items() if way.named} == {"deb", "rpm"}


@pytest.mark.parametrize(
    ("has_apt", "line"),
    [
        ("/usr/bin/apt-get", f"{APT} --no-remove install -- /run/tool.pkg"),
        (None, "dpkg --force-confold -i -- /run/tool.pkg"),
    ],
)
def test_what_a_package_file_needs_comes_along_where_apt_is(
    monkeypatch: pytest.MonkeyPatch, has_apt: str | None, line: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: has_apt)
    assert WAYS["deb"].install is not None
    assert " ".join(WAYS["deb"].install(SUBJECT)) == line
