"""Recovery mode and alarms, where people meet them: banner, health page, device page, command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from devices.models import Device, DeviceGroup
from scheduling import alarms, health, recovery
from scheduling.models import Alarm, DeviceRun
from scheduling.tests import factories
from scheduling.views import health as views

pytestmark = pytest.mark.django_db
TAKEN_AT = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def in_recovery(web_device: Device) -> Device:
    recovery.begin(TAKEN_AT)
    web_device.refresh_from_db()
    return web_device


@pytest.fixture
def alarmed(admin: User, web_device: Device) -> DeviceRun:
    run = factories.run(factories.execution(factories.task(admin)), web_device, status="expired")
    alarms.ran_after_its_end(run)
    return run


def text(client: Client, name: str, *args: Any) -> str:
    return client.get(reverse(name, args=args)).content.decode()


def test_the_banner_says_that_devices_are_waited_for(
    as_admin: Client, as_operator: Client, in_recovery: Device
) -> None:
    page = text(as_admin, "overview")
    assert 'data-notice="recovery"' in page
    assert "1 device has not yet told" in page
    assert "data of 2026-11-01 02:00 UTC" in page
    assert 'data-notice="recovery"' not in text(as_operator, "overview")


def test_the_banner_goes_with_the_last_mark(as_admin: Client, in_recovery: Device) -> None:
    recovery.end()
    assert "data-notice" not in text(as_admin, "overview")


def test_the_banner_counts_alarms_of_a_week(as_admin: Client, alarmed: DeviceRun) -> None:
    assert "1 run on a device contradicts" in text(as_admin, "overview")
    Alarm.objects.update(last_seen_at=timezone.now() - timedelta(days=8))
    health.forget_checks()
    assert 'data-notice="alarms"' not in text(as_admin, "overview")


def test_the_health_page_names_devices_and_runs(
    as_admin: Client, in_recovery: Device, alarmed: DeviceRun
) -> None:
    page = text(as_admin, "health")
    assert in_recovery.get_absolute_url() in page
    assert str(alarmed.pk) in page
    assert "Ran although it had ended without a start" in page


def test_the_health_page_counts_the_devices_it_does_not_name(
    as_admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_DEVICES", 2)
    marked = [factories.device(f"marked-{number}") for number in range(5)]
    recovery.begin(TAKEN_AT)
    page = text(as_admin, "health")
    assert [one.get_absolute_url() in page for one in marked] == [True, True, False, False, False]
    assert "and 3 more</li>" in page
    for one in marked[:3]:
        recovery.end(one)
    assert " more</li>" not in text(as_admin, "health")


def test_a_health_page_without_either_says_so(as_admin: Client) -> None:
    page = text(as_admin, "health")
    assert "no device is asked" in page
    assert "agrees with this server" in page


def test_the_device_page_says_since_when(
    as_operator: Client, web_group: DeviceGroup, in_recovery: Device
) -> None:
    page = text(as_operator, "device", in_recovery.pk)
    assert "In recovery since" in page
    recovery.end(in_recovery)
    assert "In recovery" not in text(as_operator, "device", in_recovery.pk)


def test_the_device_page_names_what_its_device_contradicts(
    as_operator: Client, web_group: DeviceGroup, alarmed: DeviceRun, web_device: Device
) -> None:
    other = factories.device()
    alarms.unknown_runs(other, [alarmed.execution_id])
    page = text(as_operator, "device", web_device.pk)
    assert str(alarmed.pk) in page
    assert str(alarmed.execution_id) not in page.partition('data-notice="alarms"')[2][:1_000]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    call_command("recovery", *words)
    return capsys.readouterr().out


def test_the_command_turns_it_on_and_off_and_says_how_it_stands(
    capsys: pytest.CaptureFixture[str], web_device: Device
) -> None:
    assert said(capsys, "status") == "Recovery mode is off.\n"
    assert "Devices marked: 1." in said(capsys, "on", "--backup-taken-at", "2026-11-01T02:00")
    status = said(capsys, "status")
    assert "data of 2026-11-01 02:00 UTC" in status
    assert web_device.name in status
    assert "no longer waited for: 1." in said(capsys, "off", web_device.name)
    assert said(capsys, "status") == "Recovery mode is off.\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["on", "--backup-taken-at", "2999-01-01T00:00Z"], "backup_taken_at: must not lie"),
        (["on", "--backup-taken-at", "yesterday"], "not a date and time"),
        (["off", "nobody"], "There is no device"),
        (["off", "web-1"], "not in recovery"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(
    admin: User, web_device: Device, words: list[str], complaint: str
) -> None:
    with pytest.raises(CommandError, match=complaint):
        call_command("recovery", *words)
    assert not recovery.status().is_on


def test_the_health_command_notes_both_and_counts_neither_as_ill(
    capsys: pytest.CaptureFixture[str], in_recovery: Device, alarmed: DeviceRun
) -> None:
    with pytest.raises(SystemExit):
        call_command("health")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[4:]] == [["recovery", "NOTE"], ["alarms", "NOTE"]]
    with pytest.raises(SystemExit) as ended:
        call_command("health", "database")
    assert ended.value.code == 0
