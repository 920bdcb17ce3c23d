from __future__ import annotations

from pathlib import Path

import pytest

from devices.tests.agent.device_context import DeviceContext


@pytest.fixture
def context(tmp_path: Path) -> DeviceContext:
    return DeviceContext(tmp_path / "agent")


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    folder = tmp_path / "srv"
    folder.mkdir()
    return folder
