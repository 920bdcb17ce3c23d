"""One device and one server for all tests of the model: what a step came to is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.protocol_model.device import Device
from tests.protocol_model.server import Server
from tests.protocol_model.world import Model

_KNOWN: dict[tuple[Any, ...], Any] = {}


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    device = Device(tmp_path_factory.mktemp("device"))
    yield device
    device.close()


@pytest.fixture
def server(db: None) -> Server:
    return Server(_KNOWN)


@pytest.fixture
def model(device: Device, server: Server) -> Model:
    return Model(device, server)
