"""What a device lets itself be told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from devices.agent import policy
from devices.agent.config import Settings
from devices.agent.kinds import Requirements
from devices.agent.platforms import account_name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def load(file: Path, is_default: bool = False) -> policy.Policy:
    return policy.load(Settings(policy=file, policy_is_default=is_default))


def objection(rules: policy.Policy, **needs: Any) -> str | None:
    """Of a command, unless `kind` says otherwise."""
    kind = needs.pop("kind", "command")
    return rules.objection(kind, 60, Requirements(**{"shell": "", **needs}))


def test_without_a_file_only_the_agents_own_account_is_allowed(file: Path) -> None:
    rules = load(file)

    assert objection(rules) is None
    assert objection(rules, run_as=account_name()) is None
    assert "nobody" in str(objection(rules, run_as="nobody"))


@pytest.mark.parametrize(
    ("text", "needs", "said"),
    [
        ('kinds = ["file_deployment"]', {}, "kind command"),
        ('kinds = ["command"]', {}, None),
        ("kinds = []", {}, "kind command"),
        ('shells = ["bash"]', {}, "shell sh"),
        ('shells = ["bash"]', {"shell": "bash"}, None),
        ('shells = ["bash"]', {"kind": "software_deployment"}, "shell sh"),
        ('shells = ["bash"]', {"shell": None}, None),
        ('shells = ["bash"]', {"systems": ("linux", "macos", "windows")}, "shell"),
        ('shells = ["bash"]', {"systems": ()}, None),
        ("shells = []", {"kind": "file_deployment", "shell": None}, None),
        ('run_as = ["deploy"]', {"run_as": "deploy"}, None),
        ('run_as = ["deploy"]', {"run_as": "root"}, "running as root"),
        ('run_as = ["deploy"]', {}, f"running as {account_name()}"),
        (f'run_as = ["deploy", "{account_name()}"]', {}, None),
        ("run_as = []", {"run_as": account_name()}, "running as"),
        ('directories = ["/srv"]', {"directories": ("/srv/app",)}, None),
        ('directories = ["/srv"]', {"directories": ("/srv/../etc",)}, "outside"),
        ('directories = ["/srv"]', {"directories": ("/srvx",)}, "outside"),
        ("longest_timeout_seconds = 60", {}, None),
        ("longest_timeout_seconds = 59", {}, "timeout"),
    ],
)
def test_the_file_says_what_is_allowed(
    file: Path, text: str, needs: dict[str, Any], said: str | None
) -> None:
    file.write_text(text)
    file.chmod(0o644)

    found = objection(load(file), **needs)

    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(
    "text",
    ["kinds = ", "colour = 1", "shells = 'sh'", "shells = [1]", "longest_timeout_seconds = 0"],
)
def test_a_file_that_cannot_be_understood_allows_nothing(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o644)

    assert "cannot be used" in str(objection(load(file)))


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_a_file_that_others_can_write_allows_nothing(file: Path, mode: int) -> None:
    file.write_text("")
    file.chmod(mode)

    assert "written by others" in str(objection(load(file)))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away, which takes root")
def test_the_default_file_must_be_roots_own(file: Path) -> None:
    file.write_text("")
    file.chmod(0o644)
    assert objection(load(file, is_default=True)) is None

    os.chown(file, 12345, 12345)

    assert "owned by root" in str(objection(load(file, is_default=True)))


def test_a_link_does_not_lead_out_of_the_allowed_directories(file: Path, tmp_path: Path) -> None:
    inside, way_out = tmp_path / "srv", tmp_path / "srv" / "link"
    inside.mkdir()
    way_out.symlink_to("/etc")
    file.write_text(f'directories = ["{inside}"]')
    file.chmod(0o644)

    assert "outside" in str(objection(load(file), directories=(str(way_out),)))


def test_in_a_folder_of_others_the_file_allows_nothing(file: Path) -> None:
    file.write_text('kinds = ["command"]')
    file.chmod(0o644)
    file.parent.chmod(0o777)
    assert "can be written by others" in str(objection(load(file)))
    file.parent.chmod(0o1777)
    assert objection(load(file)) is None
