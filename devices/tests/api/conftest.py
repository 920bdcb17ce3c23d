from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.test import APIClient

from devices.models import Device, DeviceGroup
from devices.tests.conftest import make_device
from devices.tests.fakes import FakeLedger

As = Callable[[User], APIClient]


@pytest.fixture(autouse=True)
def _keeper(ledger: FakeLedger) -> None:
    cache.clear()


@pytest.fixture
def as_() -> As:
    """A client in which this person is signed in."""

    def sign_in(user: User) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def device(web_group: DeviceGroup) -> Device:
    """One that the operator may use."""
    made, _ = make_device("web-1", hostname="web-1.example.org", os="linux")
    web_group.devices.add(made)
    return made


@pytest.fixture
def stranger() -> Device:
    """One that only administrators see."""
    return make_device("db-1", os="windows")[0]
