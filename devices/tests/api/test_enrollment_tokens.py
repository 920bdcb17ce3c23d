"""`/api/enrollment-tokens`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.models import IdempotencyKey
from devices import enrollment, keys
from devices.models import DeviceGroup, EnrollmentToken
from devices.tests import enrolling
from devices.tests.api.conftest import As

pytestmark = pytest.mark.django_db
URL = "/api/enrollment-tokens"


def test_a_token_is_shown_once_and_works(as_: As, admin: User, web_group: DeviceGroup) -> None:
    keys.ensure_key()
    ends = timezone.now() + timedelta(days=3)
    wanted = {
        "name": "rack 7",
        "group_id": str(web_group.pk),
        "uses_limit": 5,
        "expires_at": ends.isoformat(),
    }
    answer = as_(admin).post(URL, wanted, headers={"Idempotency-Key": "one"})
    assert answer.status_code == 201
    shown = answer.json()
    enrollment.enroll(enrolling.body(shown.pop("token")))
    assert (shown["name"], shown["group_id"], shown["uses_limit"]) == (
        "rack 7", str(web_group.pk), 5,
    )  # fmt: skip
    assert (shown["user_id"], shown["status"]) == (admin.pk, "usable")
    assert web_group.devices.count() == 1
    assert answer["Cache-Control"] == "no-store"
    assert not IdempotencyKey.objects.exists()
    assert abs(EnrollmentToken.objects.get().expires_at - ends) < timedelta(seconds=5)


def test_a_token_lives_a_day_and_lets_one_in_unless_asked(as_: As, admin: User) -> None:
    as_(admin).post(URL, {})
    token = EnrollmentToken.objects.get()
    assert token.uses_limit == 1
    assert abs(token.expires_at - token.created_at - timedelta(days=1)) < timedelta(minutes=1)


def test_a_list_holds_no_token(as_: As, admin: User) -> None:
    text = as_(admin).post(URL, {"name": "rack 7"}).json()["token"]
    answer = as_(admin).get(URL)
    assert [one["name"] for one in answer.json()["results"]] == ["rack 7"]
    assert text not in answer.content.decode()
    assert EnrollmentToken.objects.get().token_sha256 not in answer.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"uses_limit": 0, "expires_at": "soon"},
        {"group_id": "web", "name": 7},
        {"group_id": "01a20fd9-e4fd-7456-ae63-fef3ff4a090f"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"token": "dxe_mine"},
    ],
)
def test_every_wrong_field_is_named(as_: As, admin: User, wrong: dict[str, object]) -> None:
    answer = as_(admin).post(URL, wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == set(wrong)
    assert not EnrollmentToken.objects.exists()


def test_a_token_is_revoked_once(as_: As, admin: User) -> None:
    token, _ = enrollment.issue()
    first, second = (as_(admin).post(f"{URL}/{token.pk}/revoke") for _ in range(2))
    assert (first.status_code, first.json()["status"]) == (200, "revoked")
    assert (second.status_code, second.json()["status"]) == (409, "revoked")


def test_only_administrators_let_machines_in(as_: As, operator: User) -> None:
    token, _ = enrollment.issue()
    client = as_(operator)
    assert client.get(URL).json()["results"] == []
    assert client.post(URL, {}).status_code == 403
    assert client.post(f"{URL}/{token.pk}/revoke").status_code == 404
    token.refresh_from_db()
    assert token.status == "usable"
    assert EnrollmentToken.objects.count() == 1


def test_the_list_is_searched_and_ordered(as_: As, admin: User) -> None:
    for name in ("rack 7", "laptops", "rack 8"):
        enrollment.issue(name=name)
    client = as_(admin)

    def names(**query: str) -> list[str]:
        return [one["name"] for one in client.get(URL, query).json()["results"]]

    assert names(search="RACK", ordering="-name") == ["rack 8", "rack 7"]
    assert names(ordering="created_at") == ["rack 7", "laptops", "rack 8"]
    assert set(client.get(URL, {"ordering": "token_sha256"}).json()) == {"ordering"}
