"""The agent's own `enroll`, as a process of its own, against a server that listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from devices import enrollment, keys
from devices.agent import protocol
from devices.models import Device, DeviceGroup, EnrollmentToken
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db(transaction=True)
Enroll = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def enroll(live_server: Any, settings: Any, ledger: FakeLedger, tmp_path: Path) -> Enroll:
    """Runs `deployx-agent enroll` with these arguments against this server."""
    cache.clear()
    settings.DEPLOYX_PUBLIC_URL = live_server.url
    keys.ensure_key()

    def run(
        *arguments: str, given: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        state = str(tmp_path / "agent")
        command = [sys.executable, "-m", "devices.agent", "enroll", live_server.url]
        return subprocess.run(
            [*command, "--state-dir", state, *arguments],
            input=given,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def state(tmp_path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((tmp_path / "agent" / "server.json").read_text())
    return found


def test_a_machine_becomes_a_device_that_both_ends_know(
    enroll: Enroll, live_server: Any, tmp_path: Path
) -> None:
    group = DeviceGroup.objects.create(name="web")
    _, text = enrollment.issue(group=group)
    done = enroll("--token", "-", "--name", "db 1", given=f"{text}\n")
    assert (done.returncode, done.stderr) == (0, "")
    device = group.devices.get()
    known = state(tmp_path)
    assert (known["device_id"], known["name"]) == (str(device.pk), "db 1")
    assert known["server_id"] == str(keys.server_id())
    assert known["key"] == keys.current_public_key().hex()
    assert known["socket"] == live_server.url.replace("http", "ws") + protocol.SOCKET_PATH
    private_key = bytes.fromhex((tmp_path / "agent" / "agent.key").read_text())
    assert bytes(device.public_key) == protocol.public_key_of(private_key)
    assert device.facts["hostname"] == device.hostname


def test_the_token_comes_out_of_a_file(enroll: Enroll, tmp_path: Path) -> None:
    _, text = enrollment.issue()
    (tmp_path / "token").write_text(f"{text}\n")
    assert enroll("--token-file", str(tmp_path / "token")).returncode == 0
    assert Device.objects.count() == 1


def test_the_token_comes_out_of_the_environment(enroll: Enroll) -> None:
    _, text = enrollment.issue()
    assert enroll(DEPLOYX_ENROLL_TOKEN=text).returncode == 0
    assert Device.objects.count() == 1


def test_a_token_as_an_argument_works_with_a_warning(enroll: Enroll) -> None:
    _, text = enrollment.issue()
    done = enroll("--token", text)
    assert done.returncode == 0
    assert "process list" in done.stderr


def test_the_right_fingerprint_is_accepted(enroll: Enroll, tmp_path: Path) -> None:
    _, text = enrollment.issue()
    fingerprint = protocol.fingerprint(keys.current_public_key())
    done = enroll("--token", "-", "--server-key-fingerprint", fingerprint, given=text)
    assert done.returncode == 0
    assert fingerprint in done.stdout


def test_a_wrong_fingerprint_leaves_the_agent_without_a_server(
    enroll: Enroll, tmp_path: Path
) -> None:
    _, text = enrollment.issue()
    done = enroll("--token", "-", "--server-key-fingerprint", "0" * 64, given=text)
    assert done.returncode == 1
    assert "fingerprint" in done.stderr
    assert not (tmp_path / "agent" / "server.json").exists()


def test_a_used_token_and_a_guessed_one_are_refused_with_the_same_words(enroll: Enroll) -> None:
    token, text = enrollment.issue()
    EnrollmentToken.objects.filter(pk=token.pk).update(uses_count=1)
    used, guessed = enroll("--token", "-", given=text), enroll("--token", "-", given="dxe_guess")
    assert used.returncode == guessed.returncode == 1
    assert used.stderr == guessed.stderr
    assert text not in used.stdout + used.stderr
    assert not Device.objects.exists()


def test_a_machine_enrolled_anew_is_a_new_device(enroll: Enroll, tmp_path: Path) -> None:
    _, text = enrollment.issue(uses_limit=2)
    enroll("--token", "-", given=text)
    first = state(tmp_path)["device_id"]
    assert enroll("--token", "-", given=text).returncode == 2
    assert enroll("--token", "-", "--force", given=text).returncode == 0
    assert state(tmp_path)["device_id"] != first
    assert Device.objects.count() == 2
