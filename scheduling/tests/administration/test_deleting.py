"""A row is deleted with what is only there because it is."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken, IdempotencyKey
from devices.models import AgentUpdate, Device, InstalledSoftware
from scheduling.models import Upload
from scheduling.tests import factories
from scheduling.tests.administration.conftest import sign_in, url

KEPT_OF_A_DEVICE = (AgentUpdate, InstalledSoftware)
KEPT_OF_A_PERSON = (ApiToken, IdempotencyKey, LogEntry, Upload)


@pytest.fixture
def used_device(web_device: Device) -> Device:
    now = timezone.now()
    InstalledSoftware.objects.create(device=web_device, name="tool", version="1.0", seen_at=now)
    AgentUpdate.objects.create(device=web_device, version="9.9", asked_at=now)
    return web_device


@pytest.fixture
def somebody(office: Client, web_device: Device) -> User:
    """Who has worked with everything once, and owns no task."""
    user = factories.person("somebody", is_administrator=True)
    tokens.issue(user, "script")
    IdempotencyKey.objects.create(user=user, method="POST", path="/", key="k", body_sha256="")
    Upload.objects.create(user=user, name="big.iso", size=9, expires_at=timezone.now())
    given = {"name": "web-one", "tags": "{}"}
    sign_in(user).post(url(Device, "change", web_device.pk), given)
    assert all(model._default_manager.filter(user=user).exists() for model in KEPT_OF_A_PERSON)
    return user


def delete(client: Client, row: Model) -> None:
    page = url(type(row), "delete", row.pk)
    assert b"Yes, I" in client.get(page).content
    client.post(page, {"post": "yes"})


def test_a_device_goes_with_its_software_and_its_agents_update(
    office: Client, used_device: Device
) -> None:
    delete(office, used_device)
    assert not any(one._default_manager.exists() for one in (Device, *KEPT_OF_A_DEVICE))


def test_so_do_ticked_ones(office: Client, used_device: Device) -> None:
    given = {"action": "delete_selected", "_selected_action": [used_device.pk], "post": "yes"}
    office.post(url(Device, "changelist"), given)
    assert not Device.objects.exists()


def test_who_may_not_delete_devices_deletes_none(
    clerk: Client, operator: User, used_device: Device
) -> None:
    operator.user_permissions.remove(Permission.objects.get(codename="delete_device"))
    page = url(Device, "delete", used_device.pk)
    assert clerk.post(page, {"post": "yes"}).status_code == 403
    assert InstalledSoftware.objects.exists()


def test_a_person_goes_with_their_tokens_and_what_the_admin_wrote_of_them(
    office: Client, somebody: User
) -> None:
    delete(office, somebody)
    assert not User.objects.filter(pk=somebody.pk).exists()
    kept = [one._default_manager.filter(user=somebody.pk) for one in KEPT_OF_A_PERSON]
    assert not any(rows.exists() for rows in kept)
