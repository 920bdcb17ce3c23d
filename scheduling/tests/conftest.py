"""Standing personas, and what a worker has that tests of the core need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import User

from devices import keys
from devices.models import Device, DeviceGroup
from scheduling import clock, hints
from scheduling.models import ScheduledTask
from scheduling.tests import factories


@pytest.fixture(autouse=True)
def hints_are_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an earlier test did to Redis, this one's hints are sent."""
    monkeypatch.setattr(hints, "_silent_until", [0.0])


@pytest.fixture
def admin(db: None) -> User:
    """Sees and may do everything."""
    return factories.person("admin", is_administrator=True)


@pytest.fixture
def operator(db: None) -> User:
    """May use the devices of `web_group`."""
    return factories.person("operator")


@pytest.fixture
def outsider(db: None) -> User:
    """Was given nothing: every door is tried by them."""
    return factories.person("outsider")


@pytest.fixture
def web_device(db: None) -> Device:
    return factories.device("web-1")


@pytest.fixture
def web_group(operator: User, web_device: Device) -> DeviceGroup:
    return factories.group("web", devices=[web_device], people=[operator])


@pytest.fixture
def task(operator: User, web_group: DeviceGroup) -> ScheduledTask:
    """The operator's, daily on `web_group`."""
    return factories.task(operator, groups=[web_group])


@pytest.fixture
def in_2026(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Now, as everything that plans is told: the dates that a test names lie ahead, whatever today is."""
    now = factories.moment("2026-11-24T12:00")
    monkeypatch.setattr(clock, "now", lambda: now)
    return now


@pytest.fixture
def signer(db: None, signing_key: Any) -> str:
    """The signing key, as worker and beat make it at their start; answers its id."""
    return keys.ensure_key()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was sent to Celery instead of sending it: (task name, args)."""
    messages: list[tuple[str, Any]] = []

    def send_task(name: str, args: Any = None, **options: Any) -> None:
        messages.append((name, args))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return messages


@pytest.fixture
def after_commit(
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> Callable[..., Any]:
    """`with after_commit():` runs at its end what its body left for after the commit."""
    return lambda: django_capture_on_commit_callbacks(execute=True)
