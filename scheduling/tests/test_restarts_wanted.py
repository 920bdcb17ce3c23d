"""A device wants to be restarted from the run that says so until it has booted anew."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from devices import sessions
from devices.agent import protocol
from devices.ledger_port import Session
from devices.models import Device
from scheduling import ledger
from scheduling.models import DeviceRun, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
KEY = protocol.new_private_key()


@pytest.fixture
def device() -> Device:
    one = factories.device(public_key=protocol.public_key_of(KEY))
    connect(one, "first")
    return one


def connect(device: Device, boot: str) -> None:
    session = Session(device.pk, uuid.uuid4())
    signature = protocol.sign(KEY, b"hello")
    (admitted,) = sessions.admit(
        [sessions.Opening(session, b"hello", signature, "1.0", {"boot_id": boot})]
    )
    assert admitted.refused_with is None


def begun(task: ScheduledTask, device: Device) -> DeviceRun:
    return factories.run(factories.execution(task), device, status="running")


def end(run: DeviceRun, **said: Any) -> None:
    installed = [{"id": None, "name": "Tool", "version": "1"}]
    detail = {"summary": "x", "installed": installed, **said}
    ledger.results([factories.result_of(run, detail=detail)])


def wants_restart(device: Device) -> bool:
    device.refresh_from_db()
    return device.wants_restart


def test_until_it_has_booted_anew(task: ScheduledTask, device: Device) -> None:
    end(begun(task, device))
    assert not wants_restart(device)
    end(begun(task, device), reboot_required=True)
    assert wants_restart(device)
    connect(device, "first")
    assert wants_restart(device)
    connect(device, "second")
    assert not wants_restart(device)
    end(begun(task, device), reboot_required=True)
    assert wants_restart(device)


def test_a_later_run_that_needs_none_does_not_take_it_back(
    task: ScheduledTask, device: Device
) -> None:
    end(begun(task, device), reboot_required=True)
    end(begun(task, device))
    assert wants_restart(device)


def test_a_result_that_comes_after_the_boot_speaks_of_the_one_before(
    task: ScheduledTask, device: Device
) -> None:
    run = begun(task, device)
    connect(device, "second")
    end(run, reboot_required=True)
    assert not wants_restart(device)


def test_evidence_that_comes_late_counts(task: ScheduledTask, device: Device) -> None:
    run = factories.run(factories.execution(task), device, status="lost")
    end(run, reboot_required=True)
    assert wants_restart(device)


@pytest.mark.parametrize("said", [False, 1, "yes", None])
def test_only_a_plain_yes_is_one(task: ScheduledTask, device: Device, said: object) -> None:
    end(begun(task, device), reboot_required=said)
    assert not wants_restart(device)
