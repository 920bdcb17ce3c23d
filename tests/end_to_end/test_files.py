"""Files from upload to their place on a device, and back, by a real agent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningSystem


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder the agent puts files into."""
    folder = tmp_path / "srv"
    folder.mkdir()
    return folder


def upload(system: RunningSystem, name: str, content: bytes) -> str:
    answer = system.api.post("/api/files", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    stored: dict[str, Any] = answer.json()
    assert stored["sha256"] == hashlib.sha256(content).hexdigest()
    return str(stored["id"])


def deploy(system: RunningSystem, *file_ids: str, **payload: Any) -> dict[str, Any]:
    """What the one run of the deployment came to."""
    body = {
        "name": "Files",
        "task_type": "file_deployment",
        "device_ids": [system.device()["id"]],
        "file_payload": {"file_ids": list(file_ids), **payload},
    }
    execution = system.post("/api/schedule/executions", body, status=202)
    return outcome(system, execution["id"])


def outcome(system: RunningSystem, execution_id: str) -> dict[str, Any]:
    ended = system.ended(execution_id)
    (run,) = system.runs(ended["id"])
    assert run["finished_at"], ended
    return dict(run)


def test_a_file_appears_is_recognised_replaced_and_put_back(
    system: RunningSystem, place: Path
) -> None:
    old, new = b"old\n", os.urandom(3 * 1024 * 1024)
    first, second = upload(system, "app.conf", old), upload(system, "app.conf", new)
    target = str(place / "etc" / "app.conf")

    missing = deploy(system, first, target_path=target)
    assert (missing["status"], missing["detail"]["summary"]) == (
        "failed",
        f"there is no folder {place}/etc",
    )
    made = deploy(system, first, target_path=target, create_path_if_not_exists=True, mode="0640")
    assert made["status"] == "succeeded", made
    assert Path(target).read_bytes() == old
    assert Path(target).stat().st_mode & 0o777 == 0o640
    assert (place / "etc").stat().st_mode & 0o777 == 0o755

    again = deploy(system, first, target_path=target)
    assert (again["detail"]["summary"], again["detail"]["changed"]) == ("already in place", False)

    replaced = deploy(system, second, target_path=target)
    assert replaced["detail"]["changed"]
    assert Path(target).read_bytes() == new
    assert Path(target).stat().st_mode & 0o777 == 0o640

    back = system.post(f"/api/schedule/executions/{replaced['execution_id']}/restore", status=202)
    assert back["trigger"] == "restore"
    assert outcome(system, back["id"])["status"] == "succeeded"
    assert Path(target).read_bytes() == old


def test_a_template_shows_its_difference_before_it_is_placed(
    system: RunningSystem, place: Path
) -> None:
    file = upload(system, "motd", b"Welcome to ${site} on ${facts.os}, $HOME\n")
    options = {
        "target_path": f"{place}/",
        "template": True,
        "variables": {"site": "Berlin"},
    }
    trial = deploy(system, file, dry_run=True, **options)
    assert trial["status"] == "succeeded", trial
    assert "+Welcome to Berlin on linux, $HOME" in system.output(trial["id"])["text"]
    assert not (place / "motd").exists()
    assert deploy(system, file, **options)["status"] == "succeeded"
    assert (place / "motd").read_text() == "Welcome to Berlin on linux, $HOME\n"
    wrong = deploy(system, file, target_path=f"{place}/", template=True)
    assert "there is no variable 'site'" in wrong["detail"]["summary"]
