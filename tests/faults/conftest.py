from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SEED = int(os.environ.get("DEPLOYX_FAULT_SEED", "6"))


logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture
def seed() -> int:
    """DEPLOYX_FAULT_SEED, or the same each time; printed, and so shown with a failure."""
    sys.stdout.write(f"repeat with DEPLOYX_FAULT_SEED={SEED}\n")
    return SEED


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for sockets, and reachable for every account."""
    with tempfile.TemporaryDirectory(prefix="deployx-faults-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def root() -> None:
    """For what mounts file systems or makes networks. Not skipped: a case left out is no proof."""
    assert os.geteuid() == 0, "this case mounts or moves networks: run `make faults` as root"
