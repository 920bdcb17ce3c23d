from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from scheduling import health, heartbeats


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    health.forget_checks()
    health._redis.cache_clear()
    yield
    health.forget_checks()
    health._redis.cache_clear()


def missing(checks: list[health.Check]) -> list[str]:
    return [one.name for one in checks if not one.ok]


@pytest.mark.django_db
def test_all_is_well_with_one_worker_and_one_beat() -> None:
    heartbeats.record("worker", "one")
    heartbeats.record("beat", "one")
    assert missing(health.checks()) == []
    assert all(one.what_to_do == "" for one in health.checks())


@pytest.mark.django_db
def test_what_is_missing_comes_with_what_to_do() -> None:
    checks = health.checks()
    assert missing(checks) == ["worker", "beat"]
    assert all(one.what_to_do for one in checks if not one.ok)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("alive", "said"),
    [
        ({"beat"}, {"worker": "No worker is at work, so beat does its work"}),
        ({"worker"}, {"beat": "No beat is at work, so due tasks open late."}),
        (
            set(),
            {
                "worker": "No worker is at work, nor a beat in its place, so nothing is started.",
                "beat": "No beat is at work, nor a worker in its place",
            },
        ),
    ],
)
def test_what_is_said_of_one_depends_on_the_other(alive: set[str], said: dict[str, str]) -> None:
    for kind in alive:
        heartbeats.record(kind, "one")
    found = {one.name: str(one.what_to_do) for one in health.checks() if not one.ok}
    assert found.keys() == said.keys()
    assert all(found[name].startswith(begin) for name, begin in said.items()), found


@pytest.mark.django_db
def test_a_redis_that_hangs_costs_two_seconds_and_once(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert health.REMEMBERED_SECONDS == 5
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 600.0)  # this machine may take its time
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        began = time.monotonic()
        assert "redis" in missing(health.recent_checks())
        assert health.REDIS_TIMEOUT_SECONDS <= time.monotonic() - began < 60
        assert callers(silent) > 0
        assert "redis" in missing(health.recent_checks())
        assert callers(silent) == 0


def callers(server: socket.socket) -> int:
    """How many have connected since it was last asked."""
    server.setblocking(False)
    number = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            number += 1
    return number


def test_without_a_database_nothing_is_known_of_worker_and_beat(
    django_db_blocker: Any, tmp_path: Any
) -> None:
    connection = connections["default"]
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST=str(tmp_path), NAME="nobody")
    try:
        with django_db_blocker.unblock():
            checks = health.checks()
            assert missing(checks) == ["database", "worker", "beat"]
            assert {one.what_to_do for one in checks if one.name in health.PROCESSES} == {
                health.UNKNOWN
            }
    finally:
        connection.close()
        connection.settings_dict.update(before)
