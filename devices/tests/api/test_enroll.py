"""`POST /api/agent/enroll`: what the door answers to whom."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from devices import enrollment, keys
from devices.agent import protocol
from devices.api import enroll as door
from devices.models import Device, EnrollmentToken
from devices.tests import enrolling
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keeper(ledger: FakeLedger, db: None) -> None:
    cache.clear()
    keys.ensure_key()


@pytest.fixture
def _one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 years: no new one begins between two requests."""
    window = dataclasses.replace(door.REFUSALS, seconds=86_400 * 365_000)
    monkeypatch.setattr(door, "REFUSALS", window)


@pytest.fixture
def machine() -> Client:
    return Client(enforce_csrf_checks=True)


def post(client: Client, body: bytes, **extra: Any) -> Any:
    return client.post(protocol.ENROLL_PATH, body, content_type="application/json", **extra)


def test_a_machine_without_cookies_enrols(machine: Client) -> None:
    _, text = enrollment.issue()
    answer = post(machine, enrolling.body(text))
    assert answer.status_code == 201
    assert protocol.decode_enrolment_answer(answer.content).device_id == str(
        Device.objects.get().pk
    )
    assert "no-store" in answer["Cache-Control"]


def test_all_refusals_look_alike(machine: Client) -> None:
    (_, used), (revoked, revoked_text), (expired, expired_text) = (
        enrollment.issue() for _ in range(3)
    )
    post(machine, enrolling.body(used))
    enrollment.revoke(revoked)
    EnrollmentToken.objects.filter(pk=expired.pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    _, good = enrollment.issue()
    refused = [
        post(machine, enrolling.body("dxe_guessed")),
        post(machine, enrolling.body(used)),
        post(machine, enrolling.body(revoked_text)),
        post(machine, enrolling.body(expired_text)),
        post(machine, enrolling.body(good, signature=bytes(64))),
    ]
    assert {(answer.status_code, answer.content) for answer in refused} == {
        (403, refused[0].content)
    }
    assert {tuple(sorted(answer.headers.items())) for answer in refused} == {
        tuple(sorted(refused[0].headers.items()))
    }


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b'{"token": "x"}', b'{"token": NaN}', b"\xff\xfe"]
)
def test_what_is_no_enrolment_is_a_400_that_says_why(machine: Client, body: bytes) -> None:
    answer = post(machine, body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_an_unknown_field_is_named(machine: Client) -> None:
    body = {**json.loads(enrolling.body("dxe_x")), "device_id": "mine"}
    answer = post(machine, json.dumps(body).encode())
    assert answer.status_code == 400
    assert "device_id" in answer.json()["detail"]


def test_a_body_over_the_limit_is_a_413(machine: Client) -> None:
    assert post(machine, b" " * (protocol.MAX_FRAME_BYTES + 1)).status_code == 413


def test_only_post_is_answered(machine: Client) -> None:
    assert machine.get(protocol.ENROLL_PATH).status_code == 405


@pytest.mark.usefixtures("_one_window")
def test_who_keeps_being_refused_is_told_to_wait_and_others_are_not(machine: Client) -> None:
    _, text = enrollment.issue()
    for _ in range(door.REFUSALS.at_most):
        assert post(machine, enrolling.body("dxe_guessed")).status_code == 403
    slowed = post(machine, enrolling.body(text))
    assert slowed.status_code == 429
    assert 0 < int(slowed["Retry-After"]) <= door.REFUSALS.seconds
    assert post(machine, enrolling.body(text), REMOTE_ADDR="192.0.2.7").status_code == 201


@pytest.mark.usefixtures("_one_window")
def test_a_network_of_ipv6_is_one_address(machine: Client) -> None:
    for number in range(door.REFUSALS.at_most):
        post(machine, b"", REMOTE_ADDR=f"2001:db8::{number:x}")
    assert post(machine, b"", REMOTE_ADDR="2001:db8::ffff:1").status_code == 429
    assert post(machine, b"", REMOTE_ADDR="2001:db8:0:1::1").status_code == 400


def test_a_server_without_a_key_says_so_and_keeps_the_token_whole(machine: Client) -> None:
    from devices.models import ServerKey

    ServerKey.objects.all().delete()
    token, text = enrollment.issue()
    answer = post(machine, enrolling.body(text))
    assert answer.status_code == 503
    assert "signing key" in answer.json()["detail"]
    token.refresh_from_db()
    assert token.uses_count == 0


def test_without_the_cache_machines_still_enrol(
    machine: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.exceptions import ConnectionError as Away

    def away(*args: object, **kwargs: object) -> None:
        raise Away

    for name in ("get", "add", "incr"):
        monkeypatch.setattr(type(cache._connections["default"]), name, away)  # type: ignore[attr-defined]
    _, text = enrollment.issue()
    assert post(machine, enrolling.body("dxe_guessed")).status_code == 403
    assert post(machine, enrolling.body(text)).status_code == 201
