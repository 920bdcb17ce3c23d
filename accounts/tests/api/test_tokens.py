"""`/api/tokens`."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.test import APIClient
from structlog.testing import capture_logs

from accounts import tokens
from accounts.models import ApiToken, IdempotencyKey

pytestmark = pytest.mark.django_db
URL = "/api/tokens"


@pytest.fixture(autouse=True)
def _unthrottled() -> None:
    cache.clear()


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


def signed_in(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def bearing(key: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {key}"})


def test_a_token_is_shown_once_and_opens_the_door(ada: User) -> None:
    with capture_logs() as logs:
        answer = signed_in(ada).post(
            URL,
            {"name": "backup", "scopes": ["admin"], "expires_at": "2999-01-01T00:00:00Z"},
            headers={"Idempotency-Key": "one"},
        )
    assert answer.status_code == 201
    shown = answer.json()
    key = shown.pop("token")
    listed = bearing(key).get(URL)
    assert listed.json()["results"] == [
        {**shown, "last_used_at": listed.json()["results"][0]["last_used_at"]}
    ]
    assert (shown["user_id"], shown["scopes"], shown["revoked_at"]) == (ada.pk, ["admin"], None)
    assert key not in listed.content.decode()
    assert key not in str(logs)
    assert answer["Cache-Control"] == "no-store"
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "", "scopes": "all", "expires_at": "soon"},
        {"name": "x" * 101},
        {"scopes": ["everything"], "name": "x"},
        {"scopes": [{}], "name": "x"},
        {"expires_at": "2020-01-01T00:00:00Z", "name": "x"},
        {"user_id": 1, "name": "x"},
    ],
)
def test_every_wrong_field_is_named(ada: User, wrong: dict[str, object]) -> None:
    answer = signed_in(ada).post(URL, wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == {name for name in wrong if (name, wrong[name]) != ("name", "x")}
    assert not ApiToken.objects.exists()


def test_a_token_has_a_name(ada: User) -> None:
    answer = signed_in(ada).post(URL, {})
    assert (answer.status_code, set(answer.json())) == (400, {"name"})


def test_people_see_their_own_and_administrators_all(ada: User, bob: User) -> None:
    for user in (ada, bob):
        tokens.issue(user, user.username)
    admin = User.objects.create_superuser("admin")
    listed = [
        {one["name"] for one in signed_in(user).get(URL).json()["results"]}
        for user in (ada, bob, admin)
    ]
    assert listed == [{"ada"}, {"bob"}, {"ada", "bob"}]


def test_a_revoked_token_opens_nothing(ada: User) -> None:
    token, key = tokens.issue(ada, "backup")
    answer = signed_in(ada).post(f"{URL}/{token.pk}/revoke")
    assert answer.status_code == 200
    assert answer.json()["revoked_at"] is not None
    assert bearing(key).get(URL).status_code == 401


def test_an_outsider_cannot_revoke(ada: User, bob: User) -> None:
    token, key = tokens.issue(ada, "backup")
    assert signed_in(bob).post(f"{URL}/{token.pk}/revoke").status_code == 404
    assert bearing(key).get(URL).status_code == 200


def test_an_administrator_revokes_anybodys(ada: User) -> None:
    token, key = tokens.issue(ada, "backup")
    admin = User.objects.create_superuser("admin")
    assert signed_in(admin).post(f"{URL}/{token.pk}/revoke").status_code == 200
    assert bearing(key).get(URL).status_code == 401


def test_no_token_makes_a_stronger_one(ada: User) -> None:
    scopes = [scope for scope in ApiToken.Scope.values if scope != "admin"]
    token, key = tokens.issue(ada, "limited", scopes)
    answers = [
        bearing(key).post(URL, {"name": "strong"}),
        bearing(key).get(URL),
        bearing(key).post(f"{URL}/{token.pk}/revoke"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert ApiToken.objects.count() == 1


def test_the_list_is_searched_and_ordered(ada: User) -> None:
    for name in ("backup", "CI", "backup 2"):
        tokens.issue(ada, name)
    client = signed_in(ada)

    def names(**query: str) -> list[str]:
        return [one["name"] for one in client.get(URL, query).json()["results"]]

    assert names(search="BACK", ordering="-name") == ["backup 2", "backup"]
    assert names(ordering="created_at") == ["backup", "CI", "backup 2"]
    assert set(client.get(URL, {"ordering": "key_sha256"}).json()) == {"ordering"}
