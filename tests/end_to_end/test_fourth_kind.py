"""A fourth kind of work is one more file in `devices/agent/kinds/`: everything else finds it there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import running
from tests.running import BY_HAND, RunningSystem, running_system

KIND = '''
"""Kind `greeting`: says hello to somebody."""

from . import register
from .contract import Finished, FormField, Kind, Requirements
from .reading import Reading


@register
class Greeting(Kind):
    name = "greeting"
    label = "Greeting"
    payload_field = "greeting_payload"

    def parse(self, payload, *, rollout=None):
        reading = Reading.of(payload)
        if not reading.raw.get("whom"):
            reading.wrong("whom", "Say whom to greet.")
        return reading.finished({"whom": reading.title("whom", 50)}, {"whom"})

    def summary(self, payload):
        return f"Greet {payload['whom']}"

    def schema(self):
        whom = {"type": "string", "maxLength": 50}
        return {"type": "object", "required": ["whom"], "properties": {"whom": whom}}

    def form_fields(self):
        return (FormField("whom", "Whom to greet", "text", required=True),)

    def requires(self, order):
        return Requirements()

    def run(self, order, context):
        context.write("stdout", f"hello {order['whom']}\\n".encode())
        return Finished(True, 0, f"greeted {order['whom']}")
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is under version control, and that one file."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=running.CHECKOUT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (running.CHECKOUT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(running.CHECKOUT / name, copy / name)
    (copy / "devices/agent/kinds/greeting.py").write_text(KIND)
    return copy


@pytest.fixture(scope="module")
def greeter(checkout: Path) -> Iterator[RunningSystem]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "CHECKOUT", checkout)
        with running_system() as system:
            yield system


def test_a_kind_that_is_one_file_runs_on_a_device_and_is_in_every_door(
    greeter: RunningSystem,
) -> None:
    body = {
        "name": "Hello",
        "task_type": "greeting",
        "device_ids": [greeter.device()["id"]],
        "greeting_payload": {"whom": "world"},
        **BY_HAND,
    }
    wrong = greeter.api.post("/api/schedule/tasks", json=body | {"greeting_payload": {}})
    assert wrong.status_code == 400
    assert "Say whom to greet." in wrong.text
    task = greeter.post("/api/schedule/tasks", body)
    opened = greeter.post(f"/api/schedule/tasks/{task['id']}/execute", status=202)
    ended = greeter.ended(opened["id"])
    (run,) = greeter.runs(ended["id"])
    assert (run["status"], run["detail"]["summary"]) == ("succeeded", "greeted world")
    assert greeter.output(run["id"])["text"] == "hello world\n"
    described = greeter.api.get("/api/schema", params={"format": "json"}).text
    assert "greeting_payload" in described
    cli = greeter.manage("schedule", "show", task["id"])
    assert "Greet world" in cli.stdout or "world" in cli.stdout


def test_the_form_asks_for_its_fields(greeter: RunningSystem) -> None:
    said = greeter.manage(
        "shell",
        "-c",
        "from django.test import Client\n"
        "from django.contrib.auth import get_user_model\n"
        "c = Client(HTTP_HOST='127.0.0.1'); c.force_login(get_user_model().objects.get(username='admin'))\n"
        "for address in ('/tasks/new', '/deploy/greeting/'):\n"
        "    page = c.get(address).content.decode()\n"
        "    print('Whom to greet' in page, 'Greeting' in page)",
    )
    assert said.stdout.split()[-4:] == ["True"] * 4, said.stdout + said.stderr
