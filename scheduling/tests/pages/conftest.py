from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import DeviceGroup
from scheduling import health
from scheduling.tests.catalogue.conftest import files_dir, stored

__all__ = ["files_dir", "stored"]


@pytest.fixture(autouse=True)
def no_memory_of_health(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an earlier test found well or ill is not shown to the next; and however long a test takes,
    what it has found itself is asked for anew only where it says so."""
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 3_600.0)
    health.forget_checks()
    yield
    health.forget_checks()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_admin(admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def as_operator(operator: User) -> Client:
    return signed_in(operator)


@pytest.fixture
def as_outsider(outsider: User) -> Client:
    return signed_in(outsider)


@pytest.fixture
def no_redis(settings: Any, tmp_path: Path) -> Iterator[None]:
    """Health looks for Redis where none listens."""
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    health._redis.cache_clear()
    yield
    health._redis.cache_clear()


@pytest.fixture
def daily_df(web_group: DeviceGroup) -> dict[str, Any]:
    """What a form sends of `df -h` on the group web, each day at two."""
    return {
        "task_type": "command",
        "command-commands": ["df -h"],
        "command-stop_on_failure": "on",
        "command-success_exit_codes": "0",
        "group_ids": [str(web_group.pk)],
        "recurrence_type": "daily",
        "time": "02:00",
        "every": "1",
    }
