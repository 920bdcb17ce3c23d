"""docker-compose.yml keeps what docs/operations.md promises of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from ruamel.yaml import YAML

from deployx.system import System

CHECKOUT = Path(__file__).resolve().parents[2]
TEXT = (CHECKOUT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = ("DEPLOYX_SECRET_KEY", "DEPLOYX_DATABASE_PASSWORD", "DEPLOYX_REDIS_PASSWORD")
# ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def test_there_is_one_service_of_each_kind() -> None:
    assert set(SERVICES) == {"web", "agents", "worker", "beat", "postgres", "redis", "nginx"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_how_it_is_and_starts_again(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret: str) -> None:
    uses = [(sign, rest) for name, sign, rest in VARIABLE.findall(TEXT) if name == secret]
    assert uses
    assert {sign for sign, _ in uses} == {"?"}


def test_no_password_stands_in_the_file() -> None:
    given = re.findall(r"(?im)^.*(?:password|secret|requirepass).*$", TEXT)
    assert given
    assert all("${" in line for line in given), given


def test_nginx_alone_is_published_and_to_this_machine_unless_told_otherwise() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert list(published) == ["nginx"]
    assert all(port.startswith("${DEPLOYX_BIND:-127.0.0.1}:") for port in published["nginx"])


def test_only_nginx_shares_a_network_with_web_and_agents_alone() -> None:
    """They believe what they are told of the client's address, whoever reaches them."""
    assert [name for name, one in SERVICES.items() if "front" in one["networks"]] == [
        "web",
        "agents",
        "nginx",
    ]
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_the_signing_key_is_the_workers_and_the_beats() -> None:
    holders = [
        name
        for name, one in SERVICES.items()
        if any(volume.startswith("signing-key:") for volume in one.get("volumes", []))
    ]
    assert holders == ["worker", "beat"]


@pytest.mark.parametrize("name", ["web", "agents", "worker", "beat"])
def test_our_containers_may_change_nothing_of_their_own(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]


def test_the_image_keeps_no_secret_and_runs_as_nobody_special() -> None:
    text = (CHECKOUT / "Dockerfile").read_text()
    assert re.search(r"(?m)^USER 10001:10001$", text)
    assert "--require-hashes" in text
    assert "RUN chmod -R a+rX . &&" in text, "a checkout under umask 077 is root's alone"
    assert not re.search(r"(?m)^(?:ENV|ARG)\b.*(?:SECRET|PASSWORD|_URL)", text)


def test_programs_are_started_as_up_starts_them() -> None:
    """But for where they listen and how many they are."""
    system = System(
        port=8000,
        folder=Path("nowhere"),
        environment={"DATABASE_URL": "nowhere", "REDIS_URL": "nowhere"},
    )
    web = " ".join(SERVICES["web"]["command"])
    assert _options(shlex.join(system.web().argv)) <= _options(web) | {"--host=127.0.0.1"}
    worker = {one for one in system.worker().argv if one.startswith("--without")}
    assert worker <= set(SERVICES["worker"]["command"])
    assert "--hostname=worker@%h" in SERVICES["worker"]["command"]


def test_agents_connect_to_a_process_like_web() -> None:
    """One that starts when the tables are there."""
    web, agents = SERVICES["web"], SERVICES["agents"]
    assert {**agents, "build": web["build"], "depends_on": web["depends_on"]} == web
    assert agents["depends_on"] == {"web": {"condition": "service_healthy"}}


def test_files_that_an_upgrade_replaces_are_mounted_with_their_folder() -> None:
    """A mount of a file is of the one that was there, whatever has its name by now."""
    sources = {
        volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])
    }
    ours = {CHECKOUT / source for source in sources if source.startswith(".")}
    assert CHECKOUT / "deploy" in ours
    assert [path for path in ours if not path.is_dir()] == []


def test_whatever_the_image_may_be_built_with_reaches_the_build() -> None:
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    texts = [
        TEXT,
        *((CHECKOUT / name).read_text() for name in ("Dockerfile", "docs/operations.md")),
    ]
    named = {name for text in texts for name in re.findall(r"\brequirements[\w-]*\.txt", text)}
    assert {"requirements.txt", "requirements-s3.txt"} <= named
    assert {name for name in named if f"!{name}" not in ignored} == set()
    assert all((CHECKOUT / name).exists() for name in named)


@pytest.mark.parametrize("name", ["web", "agents", "worker", "beat"])
def test_temporary_files_have_room_for_uploads_and_an_end(name: str) -> None:
    """The body of a form, and the file that is taken out of it."""
    (folder,) = SERVICES[name]["tmpfs"]
    (gigabytes,) = re.findall(r"^/tmp:size=(\d+)g\b", folder)
    assert int(gigabytes) * 1024**3 >= 4 * settings.DEPLOYX_UPLOAD_FORM_BYTES


def _options(line: str) -> set[str]:
    """Each `--name value` of a command line as `--name=value`."""
    found = re.findall(r"(--[\w-]+)(?:[ =]([^-\s'&][^\s']*))?", line)
    return {f"{name}={value}" if value else name for name, value in found}


def test_every_variable_is_explained() -> None:
    explained = (CHECKOUT / "docs" / "operations.md").read_text()
    used = {name for name, _, _ in VARIABLE.findall(TEXT)}
    assert sorted(name for name in used if f"`{name}`" not in explained) == []


def test_open_files_suffice_for_every_connection() -> None:
    """nginx takes two for each that it passes on, web one for each agent."""
    config = (CHECKOUT / "deploy" / "nginx.conf").read_text()
    (connections,) = re.findall(r"worker_connections (\d+);", config)
    (own,) = re.findall(r"(?m)^worker_rlimit_nofile (\d+);", config)
    given = {name: one["ulimits"]["nofile"] for name, one in SERVICES.items()}
    assert min(int(own), *given.values()) >= 2 * int(connections)


def test_nginx_sets_every_header_in_one_place() -> None:
    """A location that sets a header of its own inherits none of the others."""
    config = (CHECKOUT / "deploy" / "nginx.conf").read_text()
    locations = re.findall(r"location [^{]*\{([^}]*)\}", config)
    assert len(locations) >= 5
    assert [block for block in locations if "proxy_set_header" in block] == []
