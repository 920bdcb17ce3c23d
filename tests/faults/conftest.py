from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.ground import KEPT, Ground, Kept, ground, kept

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for one in KEPT:
        one.is_spoilt |= report.failed
    return report


@pytest.fixture(scope="session")
def kept_common() -> Iterator[Kept[Ground]]:
    with kept(_common) as one:
        yield one


@pytest.fixture
def common(kept_common: Kept[Ground]) -> Ground:
    """One ground for all cases that need nothing special."""
    return kept_common.get()


@pytest.fixture
def root() -> None:
    """For what mounts file systems or makes networks. Not skipped: a case left out is no proof."""
    assert os.geteuid() == 0, "this case mounts or moves networks: run `make faults` as root"


@contextmanager
def _common() -> Iterator[Ground]:
    with _folder() as path, ground(path, DEVICES) as made:
        yield made


@contextmanager
def _folder() -> Iterator[Path]:
    """Short enough for sockets, and reachable for every account."""
    with tempfile.TemporaryDirectory(prefix="deployx-faults-") as path:
        Path(path).chmod(0o755)
        yield Path(path)
