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


def test_every_form_has_its_ways_and_none_is_made_up() -> None:
    assert set(WAYS) == set(FORMATS)


@pytest.mark.parametrize("form", WAYS)
def test_a_name_or_path_is_an_argument_of_its_own(form: str) -> None:
    way = WAYS[form]
    for command in (way.install, way.upgrade, way.uninstall, way.detect, way.named):
        if command is not None:
            argv = command(SUBJECT)
            assert all(isinstance(word, str) and word for word in argv)
            assert {"/run/tool.pkg", "tool", "./install.sh", "./uninstall.sh"} & set(argv)


@pytest.mark.parametrize(("has_apt", "program"), [("/usr/bin/apt-get", "apt-get"), (None, "dpkg")])
def test_what_a_package_file_needs_comes_along_where_apt_is(
    monkeypatch: pytest.MonkeyPatch, has_apt: str | None, program: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: has_apt)
    assert WAYS["deb"].install is not None
    assert WAYS["deb"].install(SUBJECT)[0] == program


def test_apt_takes_no_name_for_a_pattern() -> None:
    assert WAYS["apt"].install is not None
    assert "APT::Cmd::Pattern-Only=true" in WAYS["apt"].install(SUBJECT)
