"""What is wrong in the environment is named, and nothing runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_heartbeats_may_not_be_seldomer_than_presence_allows() -> None:
    assert refused(DEPLOYX_HEARTBEAT_SECONDS="300") == [
        "The environment is not right:",
        "  DEPLOYX_HEARTBEAT_SECONDS: Must be greater than or equal to 1 and less than or equal to 20.",
    ]


def refused(**variables: str) -> list[str]:
    """What a command says that may not run with these."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()
