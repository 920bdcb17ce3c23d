"""What every test of the project shares; the services start in `tests/settings.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def signing_key(settings: Any, tmp_path: Path) -> Path:
    """A file for a signing key of the test's own; worker and beat make the key when they start."""
    path = tmp_path / "keys" / "signing.key"
    settings.DEPLOYX_SIGNING_KEY_FILE = path
    return path
