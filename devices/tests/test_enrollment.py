"""Who is let in as a device, and that nobody who is not learns why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from structlog.testing import capture_logs

from accounts.errors import InvalidInput, NotAllowed, StateConflict
from devices import enrollment, keys
from devices.agent import protocol
from devices.models import Device, DeviceGroup, EnrollmentToken
from devices.tests import enrolling
from devices.tests.conftest import Told
from devices.tests.fakes import FakeLedger

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keeper(ledger: FakeLedger, db: None) -> None:
    keys.ensure_key()


def expire(token: EnrollmentToken) -> None:
    EnrollmentToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())


def use_up(token: EnrollmentToken) -> None:
    EnrollmentToken.objects.filter(pk=token.pk).update(uses_count=1)


def test_a_token_lets_a_machine_in_and_answers_what_it_must_know() -> None:
    _, text = enrollment.issue()
    answer = enrollment.enroll(enrolling.body(text))
    device = Device.objects.get()
    assert answer.device_id == str(device.pk)
    assert answer.server_id == str(keys.server_id())
    assert answer.server_key == keys.current_public_key()
    assert answer.key_id == protocol.key_id(answer.server_key)
    assert (device.name, device.os, device.architecture) == ("web-1", "linux", "amd64")
    assert device.status == Device.Status.NEVER_CONNECTED


def test_open_pages_are_told_of_each_use_of_a_token(told: Told) -> None:
    token, text = enrollment.issue()
    told.clear()
    answer = enrollment.enroll(enrolling.body(text))
    device = UUID(answer.device_id)
    assert told == [("device", device, set()), ("enrollment_token", token.pk, set())]


def test_the_server_makes_the_id_of_a_device() -> None:
    _, text = enrollment.issue(uses_limit=2)
    first, second = (enrollment.enroll(enrolling.body(text)).device_id for _ in range(2))
    assert first != second


def test_the_device_joins_the_group_of_its_token() -> None:
    group = DeviceGroup.objects.create(name="web")
    _, text = enrollment.issue(group=group)
    enrollment.enroll(enrolling.body(text))
    assert list(group.devices.values_list("name", flat=True)) == ["web-1"]


def test_a_name_cannot_turn_a_line_around() -> None:
    _, text = enrollment.issue(uses_limit=2)
    enrollment.enroll(enrolling.body(text, name="web\u202e\n 1\t"))
    enrollment.enroll(enrolling.body(text, name="\u200b"))
    assert {device.name for device in Device.objects.all()} == {"web 1", "web-1.example.org"}


@pytest.mark.parametrize("spoil", [expire, use_up, enrollment.revoke])
def test_a_token_that_lets_nobody_in(spoil: Callable[[EnrollmentToken], Any]) -> None:
    token, text = enrollment.issue()
    spoil(token)
    with pytest.raises(enrollment.EnrolmentRefused):
        enrollment.enroll(enrolling.body(text))
    assert not Device.objects.exists()


def test_a_wrong_token_lets_nobody_in() -> None:
    with pytest.raises(enrollment.EnrolmentRefused):
        enrollment.enroll(enrolling.body("dxe_guessed"))


def test_a_key_that_the_machine_does_not_hold_costs_the_token_nothing() -> None:
    token, text = enrollment.issue()
    with pytest.raises(enrollment.EnrolmentRefused):
        enrollment.enroll(enrolling.body(text, signature=bytes(64)))
    token.refresh_from_db()
    assert token.uses_count == 0


def test_a_signature_for_another_token_is_refused() -> None:
    _, text = enrollment.issue()
    key = protocol.new_private_key()
    signature = protocol.sign(key, protocol.enroll_bytes("other", protocol.public_key_of(key)))
    with pytest.raises(enrollment.EnrolmentRefused):
        enrollment.enroll(enrolling.body(text, key, signature=signature))


def test_one_key_is_one_device_and_a_second_try_costs_no_use() -> None:
    token, text = enrollment.issue(uses_limit=2)
    key = protocol.new_private_key()
    enrollment.enroll(enrolling.body(text, key))
    with pytest.raises(enrollment.EnrolmentRefused):
        enrollment.enroll(enrolling.body(text, key))
    token.refresh_from_db()
    assert (token.uses_count, Device.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_a_one_use_token_lets_one_in() -> None:
    _, text = enrollment.issue()
    gate, outcomes = threading.Barrier(4), []

    def arrive() -> None:
        body = enrolling.body(text)
        gate.wait()
        try:
            outcomes.append(enrollment.enroll(body).device_id)
        except enrollment.EnrolmentRefused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=arrive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["refused"] * 3
    assert [str(device.pk) for device in Device.objects.all()] == sorted(outcomes)[:1]


def test_only_the_hash_of_a_token_is_kept_and_nothing_of_it_logged() -> None:
    with capture_logs() as logs:
        token, text = enrollment.issue(name="rack 7")
        enrollment.enroll(enrolling.body(text))
    token.refresh_from_db()
    secret = text.removeprefix(enrollment.PREFIX)
    assert len(secret) == 43  # 256 bits
    assert secret not in str(vars(token))
    assert secret not in str(logs)
    assert len(token.token_sha256) == 64


def test_only_administrators_issue_and_revoke(admin: User, operator: User) -> None:
    token, _ = enrollment.issue(created_by=admin)
    with pytest.raises(NotAllowed):
        enrollment.issue(created_by=operator)
    with pytest.raises(NotAllowed):
        enrollment.revoke(token, operator)
    enrollment.revoke(token, admin)
    with pytest.raises(StateConflict, match="revoked already"):
        enrollment.revoke(token, admin)


def test_only_administrators_see_tokens(admin: User, operator: User) -> None:
    token, _ = enrollment.issue(created_by=admin)
    assert list(EnrollmentToken.objects.visible_to(admin)) == [token]
    assert not EnrollmentToken.objects.visible_to(operator).exists()


def test_every_wrong_wish_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        enrollment.issue(uses_limit=0, expires_in=timedelta(days=366))
    assert set(refused.value.errors) == {"uses_limit", "expires_at"}


def test_a_token_says_what_became_of_it() -> None:
    token, _ = enrollment.issue()
    seen = [token.status]
    for change in (expire, use_up, enrollment.revoke):
        change(token)
        token.refresh_from_db()
        seen.append(token.status)
    assert seen == ["usable", "expired", "used_up", "revoked"]


@pytest.mark.parametrize(
    ("public", "socket"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws/agent"),
        ("https://deployx.example.org/", "wss://deployx.example.org/ws/agent"),
        ("https://example.org/deployx", "wss://example.org/deployx/ws/agent"),
    ],
)
def test_agents_connect_where_the_public_address_says(
    settings: Any, public: str, socket: str
) -> None:
    settings.DEPLOYX_PUBLIC_URL = public
    assert enrollment.socket_address() == socket
