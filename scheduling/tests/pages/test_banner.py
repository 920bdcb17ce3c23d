"""Administrators are told on every page what of the system is not well."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from scheduling import health, heartbeats

pytestmark = pytest.mark.django_db


def ill(client: Client) -> list[str]:
    page = client.get("/").content.decode()
    return [name for name in health.ADVICE if f'data-ill="{name}"' in page]


@pytest.fixture
def alive() -> None:
    heartbeats.record("worker", "one")
    heartbeats.record("beat", "one")


def test_all_well_says_nothing(as_admin: Client, alive: None) -> None:
    assert ill(as_admin) == []


def test_no_worker_and_no_beat_are_told_with_what_to_do(as_admin: Client) -> None:
    assert ill(as_admin) == ["worker", "beat"]
    assert "celery -A deployx worker" in as_admin.get("/").content.decode()


def test_a_worker_that_was_silent_for_a_minute_is_told(as_admin: Client, alive: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE scheduling_serviceheartbeat SET seen_at = seen_at - interval '60 s'"
            " WHERE kind = 'worker'"
        )
    assert ill(as_admin) == ["worker"]


def test_other_people_are_not_told(as_operator: Client) -> None:
    assert ill(as_operator) == []


def test_redis_away_is_told_and_the_page_still_opens(
    as_admin: Client, alive: None, no_redis: None
) -> None:
    assert ill(as_admin) == ["redis"]


def test_the_next_page_within_seconds_asks_nobody_again(
    as_admin: Client, alive: None, no_redis: None
) -> None:
    assert ill(as_admin) == ["redis"]
    heartbeats.forget("worker", "one")
    assert ill(as_admin) == ["redis"]
    health.forget_checks()
    assert ill(as_admin) == ["redis", "worker"]
