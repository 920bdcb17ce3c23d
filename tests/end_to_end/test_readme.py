"""The first tasks of README.md work by copy and paste."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import CHECKOUT, RunningSystem, running_system

README = (CHECKOUT / "README.md").read_text()


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    """As `make up` leaves it: the README's reader has one device."""
    with running_system() as system:
        yield system


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("### By command line", ["every day at 02:00, Europe/Berlin", "Filesystem", "Succeeded"]),
        ("### By API", ["load average"]),
    ],
)
def test_what_it_says_can_be_pasted(
    system: RunningSystem, heading: str, expected: list[str]
) -> None:
    system.device()
    script = block_after(heading).replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script.replace("127.0.0.1:8000", f"127.0.0.1:{system.port}"),
        ],
        cwd=CHECKOUT,
        env=system.environment | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert [text for text in expected if text not in done.stdout] == []


def block_after(heading: str) -> str:
    found = re.search(r"```sh\n(.*?)```", README.split(heading)[1], re.DOTALL)
    assert found is not None
    return found[1]
