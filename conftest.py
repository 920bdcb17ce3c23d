"""What every test of the project shares; the services start in `tests/settings.py`."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from channels.layers import channel_layers


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: looking through it for garbage again and again costs time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _channel_layer() -> None:
    """One of the test's own: a layer stays with the loop that listened last, even where that loop
    was closed in mid-listening, and refuses every other."""
    channel_layers.backends.clear()


@pytest.fixture(autouse=True)
def signing_key(settings: Any, tmp_path: Path) -> Path:
    """A file for a signing key of the test's own; worker and beat make the key when they start."""
    path = tmp_path / "keys" / "signing.key"
    settings.DEPLOYX_SIGNING_KEY_FILE = path
    return path
