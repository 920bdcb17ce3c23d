"""A kind is a file: put there, it takes part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from devices.agent import kinds

FOURTH = """
from . import register
from .contract import Finished, Kind, Requirements

@register
class Wait(Kind):
    name = "wait"
    label = "Wait"
    payload_field = "wait_payload"
    def parse(self, payload, *, rollout=None): return dict(payload)
    def summary(self, payload): return "wait"
    def schema(self): return {"type": "object"}
    def form_fields(self): return ()
    def requires(self, payload): return Requirements()
    def run(self, payload, context): return Finished(True, 0, "waited")
"""


def test_the_kinds_are_named_and_labelled() -> None:
    assert ("command", "Command") in kinds.choices()
    assert kinds.get("command").payload_field == "command_payload"


def test_an_unknown_kind_is_said_to_be_one() -> None:
    with pytest.raises(kinds.UnknownKind):
        kinds.get("telepathy")


def test_a_fourth_kind_is_a_fourth_file_and_nothing_else(tmp_path: Path) -> None:
    package = Path(kinds.__file__).parent
    copy = tmp_path / "deployx_kinds"
    copy.mkdir()
    for source in package.glob("*.py"):
        (copy / source.name).write_text(source.read_text())
    (copy / "wait.py").write_text(FOURTH)

    said = _python(
        "import deployx_kinds as k; print(k.choices(), k.get('wait').parse({}))", tmp_path
    )

    assert "('wait', 'Wait')" in said
    assert "('command', 'Command')" in said


def test_a_server_that_imports_the_kinds_imports_nothing_of_the_agents() -> None:
    root = Path(kinds.__file__).parents[3]
    asked = "import sys, devices.agent.kinds as k; k.every(); print(*sys.modules)"

    loaded = _python(asked, root).split()

    assert not {"psutil", "websockets", "cryptography", "django"} & set(loaded)


def _python(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout
