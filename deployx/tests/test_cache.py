from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.core.cache.backends.redis import RedisCacheClient
from django.test import Client

from deployx import cache as lenient


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    lenient.LenientClient._away_until = float("-inf")
    yield
    lenient.LenientClient._away_until = float("-inf")


@pytest.fixture
def no_redis(settings: Any, tmp_path: Any) -> None:
    location = f"unix://{tmp_path}/nobody.sock"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}


def test_what_is_kept_is_found_again() -> None:
    cache = caches["default"]
    cache.set("deployx-test", 7, 60)
    assert (cache.get("deployx-test"), cache.incr("deployx-test")) == (7, 8)
    cache.delete("deployx-test")
    assert cache.get("deployx-test") is None


def test_without_redis_it_is_an_empty_cache_that_keeps_nothing(no_redis: None) -> None:
    cache = caches["default"]
    cache.set("a", 1)
    assert cache.get("a", "otherwise") == "otherwise"
    assert cache.add("a", 1) is True
    assert cache.get_many(["a"]) == {}
    assert cache.incr("a", 3) == 3
    assert "a" not in cache
    assert cache.touch("a") is False
    assert cache.delete("a") is False
    cache.set_many({"a": 1})
    cache.delete_many(["a"])


def test_a_redis_that_is_away_is_not_asked_again_at_once(
    no_redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lenient, "AWAY_SECONDS", 600.0)
    caches["default"].get("a")

    def asked(self: Any, key: Any, default: Any) -> None:
        raise AssertionError("it was asked")

    monkeypatch.setattr(RedisCacheClient, "get", asked)
    assert caches["default"].get("a", "otherwise") == "otherwise"


@pytest.mark.django_db
def test_people_sign_in_without_redis(no_redis: None) -> None:
    User.objects.create_user("operator", password="password")
    client = Client()
    answer = client.post("/accounts/login/", {"login": "operator", "password": "password"})
    assert (answer.status_code, answer["Location"]) == (302, "/")
