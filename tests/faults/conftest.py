from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.ground import Ground, ground

SEED = int(os.environ.get("DEPLOYX_FAULT_SEED", "6"))
DEVICES = 10
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
    with _folder() as path:
        yield path


@pytest.fixture(scope="session")
def common() -> Iterator[Ground]:
    """One ground for all cases that need nothing special."""
    with _folder() as path, ground(path, DEVICES) as made:
        yield made


@pytest.fixture
def root() -> None:
    """For what mounts file systems or makes networks. Not skipped: a case left out is no proof."""
    assert os.geteuid() == 0, "this case mounts or moves networks: run `make faults` as root"


@contextmanager
def _folder() -> Iterator[Path]:
    """Short enough for sockets, and reachable for every account."""
    with tempfile.TemporaryDirectory(prefix="deployx-faults-") as path:
        Path(path).chmod(0o755)
        yield Path(path)
