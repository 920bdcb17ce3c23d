"""`/agent/`: the wheel and the script that a machine fetches before anybody knows it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from devices import installing, wheel
from devices.api.brake import Brake
from devices.views import agent_files as door

pytestmark = pytest.mark.django_db
SCRIPT = "/agent/install.sh"


@pytest.fixture(autouse=True)
def _no_counts() -> None:
    cache.clear()


@pytest.fixture
def machine() -> Client:
    return Client(enforce_csrf_checks=True)


def named(script: str, variable: str) -> str:
    [value] = re.findall(rf"(?m)^{variable}=(.*)$", script)
    return str(value)


def test_the_script_names_the_wheel_that_is_there_and_its_digest(
    machine: Client, settings: Any
) -> None:
    settings.DEPLOYX_PUBLIC_URL = "https://deployx.example/"
    answer = machine.get(SCRIPT)
    script = answer.content.decode()
    assert answer["Content-Type"].startswith("text/x-shellscript")
    assert named(script, "SERVER") == "https://deployx.example"
    content = machine.get(f"/agent/{named(script, 'WHEEL')}").content
    assert hashlib.sha256(content).hexdigest() == named(script, "SHA256")
    assert "@" not in "".join(named(script, one) for one in ("SERVER", "WHEEL", "SHA256"))


def test_an_address_cannot_become_a_part_of_the_script(settings: Any) -> None:
    settings.DEPLOYX_PUBLIC_URL = "https://deployx.example/$(reboot)';reboot"
    assert named(installing.script(), "SERVER") == (
        "'https://deployx.example/$(reboot)'\"'\"';reboot'"
    )


@pytest.mark.parametrize("path", [SCRIPT, f"/agent/{wheel.built().name}"])
def test_a_cache_may_keep_them_but_asks_each_time(machine: Client, path: str) -> None:
    first = machine.get(path)
    assert set(first["Cache-Control"].split(", ")) == {"public", "no-cache"}
    assert "Cookie" not in first.get("Vary", "")
    again = machine.get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = machine.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_what_is_not_there_is_refused_with_the_name_of_what_is(machine: Client) -> None:
    answer = machine.get("/agent/deployx_agent-0.9.0-py3-none-any.whl")
    assert answer.status_code == 404
    assert wheel.built().name in answer.content.decode()
    assert machine.get("/agent/../manage.py").status_code == 404


def test_they_are_only_read(machine: Client) -> None:
    assert machine.head(SCRIPT).status_code == 200
    assert Client().post(SCRIPT).status_code == 405


def test_who_fetches_without_end_is_held_up_and_nobody_else(
    machine: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One window of 1,000 years: no new one begins between two requests.
    monkeypatch.setattr(door, "FETCHES", Brake("test", at_most=2, seconds=86_400 * 365_000))
    answers = [machine.get(SCRIPT, REMOTE_ADDR="192.0.2.1") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert int(answers[2]["Retry-After"]) > 0
    assert machine.get(SCRIPT, REMOTE_ADDR="192.0.2.2").status_code == 200
