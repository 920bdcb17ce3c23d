"""Who asks the API: by token, by session, or nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.errors import InvalidInput
from accounts.models import ApiToken

PATH = "/api/tokens"


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_user("person", password="password")


@pytest.fixture
def token(person: User) -> tuple[ApiToken, str]:
    return tokens.issue(person, "laptop")


def status_with(key: str) -> int:
    return Client().get(PATH, headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_is_recognisable_and_only_its_digest_is_stored(
    token: tuple[ApiToken, str],
) -> None:
    row, key = token
    assert key.startswith("dpx_")
    assert len(key) > 40
    assert key not in str(ApiToken.objects.values().get())
    assert row.key_sha256 == tokens.digest(key)


def test_its_bearer_comes_in(token: tuple[ApiToken, str]) -> None:
    assert status_with(token[1]) == 200


@pytest.mark.parametrize("key", ["", "dpx_wrong", "dpx_wrong with spaces", "dpx_é", "x" * 5_000])
def test_a_wrong_key_gets_a_401_that_says_how(db: None, key: str) -> None:
    answer = Client().get(
        PATH, headers={"Authorization": f"Bearer {key}".encode().decode("latin-1")}
    )
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_key_opens_nothing(person: User) -> None:
    soon = timezone.now() + timedelta(hours=1)
    row, key = tokens.issue(person, "laptop", expires_at=soon)
    assert status_with(key) == 200
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    assert status_with(key) == 401


def test_a_revoked_key_opens_nothing_and_keeps_its_first_moment(
    token: tuple[ApiToken, str],
) -> None:
    row, key = token
    first = tokens.revoke(row).revoked_at
    assert status_with(key) == 401
    assert tokens.revoke(row).revoked_at == first


def test_the_key_of_a_deactivated_person_opens_nothing(
    token: tuple[ApiToken, str], person: User
) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert status_with(token[1]) == 401


def test_its_use_is_noted_once_a_minute(token: tuple[ApiToken, str]) -> None:
    row, key = token
    status_with(key)
    row.refresh_from_db()
    first = row.last_used_at
    assert first is not None
    status_with(key)
    row.refresh_from_db()
    assert row.last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    status_with(key)
    row.refresh_from_db()
    assert row.last_used_at is not None
    assert row.last_used_at >= first


def test_a_session_comes_in_and_needs_its_csrf_token_to_change_anything(person: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person)
    assert browser.get(PATH).status_code == 200
    given = {"name": "laptop"}
    refused = browser.post(PATH, given, content_type="application/json")
    assert refused.status_code == 403
    browser.get("/accounts/password/change/")
    csrf_token = browser.cookies["csrftoken"].value
    allowed = browser.post(
        PATH, given, content_type="application/json", headers={"X-CSRFToken": csrf_token}
    )
    assert allowed.status_code == 201


def test_a_bearer_needs_no_csrf_token(token: tuple[ApiToken, str]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token[1]}")
    assert client.post(PATH, {"name": "another"}).status_code == 201


def test_a_token_that_is_not_meant_for_this_area_is_told_which_scope_it_lacks(
    person: User,
) -> None:
    _row, key = tokens.issue(person, "reader", ["tasks:read"])
    answer = Client().get(PATH, headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, "admin" in answer.json()["detail"]) == (403, True)


def test_every_wrong_field_of_a_new_token_is_named(person: User) -> None:
    with pytest.raises(InvalidInput) as refused:
        tokens.issue(person, " ", ["everything"], timezone.now())
    assert set(refused.value.errors) == {"name", "scopes", "expires_at"}


def test_a_scope_is_kept_once(person: User) -> None:
    row, _key = tokens.issue(person, " laptop ", ["tasks:read", "tasks:read"])
    assert (row.name, row.scopes) == ("laptop", ["tasks:read"])
