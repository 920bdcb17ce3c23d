"""What a request may carry, and how refusals are answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import OperationalError
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle

from accounts import tokens
from accounts.api import errors
from accounts.api.parsers import MAX_BODY_BYTES, MAX_DEPTH
from accounts.api.tokens import TokenDoor
from accounts.errors import InvalidInput, NotAllowed, StateConflict

PATH = "/api/tokens"


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_user("person")


@pytest.fixture
def client(person: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(person)
    return client


def post(client: APIClient, body: bytes, content_type: str = "application/json") -> Any:
    return client.generic("POST", PATH, body, content_type=content_type)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"name": NaN}',
        b'{"name": "a", "name": "b"}',
        b"\xff\xfe",
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    ],
)
def test_a_body_that_cannot_be_read_is_a_400(client: APIClient, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"name": "\\u0000"}', {"name"}),
        (b'{"name": "\\ud800", "scopes": ["\\u0000"], "expires_at": null}', {"name", "scopes"}),
        (b'{"name": 1e999, "scopes": [{"a": -1e999}]}', {"name", "scopes"}),
        (b'{"name": ' + b"9" * 5_000 + b', "scopes": []}', {"name"}),
        (b'{"scopes": {"\\u0000": 1}}', {"scopes"}),
        (b'{"\\u0000": 1}', {"\0"}),
        (b'{"a\\ud800": 1, "a\\udc00": 1}', {"a\\ud800", "a\\udc00"}),
    ],
)
def test_every_field_that_cannot_be_stored_is_named(
    client: APIClient, body: bytes, named: set[str]
) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert set(answer.json()) == named
    assert all(isinstance(said, list) and said for said in answer.json().values())


def test_an_emoji_is_a_character_like_any_other(client: APIClient) -> None:
    assert post(client, '{"name": "🚀 \\ud83d\\ude80"}'.encode()).json()["name"] == "🚀 🚀"


def test_a_body_over_2_mib_is_a_413(client: APIClient) -> None:
    assert post(client, b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}').status_code == 413


def test_just_2_mib_are_read(client: APIClient) -> None:
    frame = len(b'{"name": ""}')
    answer = post(client, b'{"name": "' + b"x" * (MAX_BODY_BYTES - frame) + b'"}')
    assert (answer.status_code, list(answer.json())) == (400, ["name"])


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_is_not_json_is_a_415(client: APIClient, content_type: str) -> None:
    assert post(client, b"name=x", content_type).status_code == 415


def test_a_method_that_is_not_there_is_a_405_that_says_which_are(client: APIClient) -> None:
    answer = client.put(PATH, {})
    assert answer.status_code == 405
    assert "POST" in answer["Allow"]


def test_a_path_that_is_not_there_is_a_404_in_json(client: APIClient) -> None:
    for path in ("/api/nothing", f"{PATH}/", "/api/schedule/"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (InvalidInput({"name": ["is odd."]}), 400, {"name": ["is odd."]}),
        (StateConflict("It ended.", "success"), 409, {"detail": "It ended.", "status": "success"}),
        (NotAllowed("Not you."), 403, {"detail": "Not you."}),
        (User.DoesNotExist(), 404, {"detail": "Not found."}),
    ],
)
def test_what_verbs_raise_is_answered(error: Exception, status: int, body: dict[str, Any]) -> None:
    answer = errors.handle(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data) == (status, body)


def test_a_database_that_is_away_is_a_503_and_an_error_nobody_foresaw_is_none() -> None:
    answer = errors.handle(OperationalError("terminating connection"), {})
    assert answer is not None
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert errors.handle(RuntimeError("bug"), {}) is None


class OneAMinute(UserRateThrottle):
    rate = "1/m"
    scope = "test"


def test_too_many_requests_are_a_429_with_retry_after(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    monkeypatch.setattr(TokenDoor, "throttle_classes", [OneAMinute])
    _row, key = tokens.issue(person, "busy")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert client.get(PATH).status_code == 200
    refused = client.get(PATH)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    cache.clear()


def test_answers_are_json_in_utf8_with_instants_in_z(client: APIClient) -> None:
    answer = post(client, '{"name": "Gerät"}'.encode())
    assert "Gerät".encode() in answer.content
    assert json.loads(answer.content)["created_at"].endswith("Z")
