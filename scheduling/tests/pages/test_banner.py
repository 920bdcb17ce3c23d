"""Administrators are told on every page what of the system is not well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from scheduling import health, heartbeats
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def ill(client: Client, address: str = "/") -> list[str]:
    page = client.get(address).content.decode()
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


def test_an_open_page_may_ask_for_the_banner_alone(
    as_admin: Client, django_assert_max_num_queries: Any
) -> None:
    assert ill(as_admin, reverse("system-health")) == ["worker", "beat"]
    with django_assert_max_num_queries(2):  # who asks; the checks are remembered
        as_admin.get(reverse("system-health"))


def test_what_is_missed_meanwhile_is_told(as_admin: Client, task: ScheduledTask) -> None:
    moment = factories.make_due(task, ago=timedelta(minutes=3))
    said = f"1 task is overdue since {moment:%Y-%m-%d %H:%M} UTC."
    assert said in as_admin.get("/").content.decode()
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "missing": ["worker", "beat"],
        "overdue": {"tasks": 1, "since": moment.isoformat()},
    }


def test_what_has_just_come_due_is_not_overdue(as_admin: Client, task: ScheduledTask) -> None:
    factories.make_due(task, ago=timedelta(0))
    assert "overdue" not in as_admin.get("/").content.decode()
    assert Client().get("/readyz").json() == {"ready": False, "missing": ["worker", "beat"]}


def test_who_works_off_what_is_late_is_well(
    as_admin: Client, alive: None, task: ScheduledTask
) -> None:
    factories.make_due(task, ago=timedelta(minutes=3))
    assert ill(as_admin) == []
    assert Client().get("/readyz").json() == {"ready": True, "missing": []}
