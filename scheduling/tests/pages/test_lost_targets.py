"""Targets that are gone, or not this person's any more, leave a task only when somebody says so."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices import fleet
from devices.models import Device, DeviceGroup
from scheduling.forms import targets
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.pages.sending import sent

pytestmark = pytest.mark.django_db
GONE = "gone, or not yours"


@pytest.fixture
def lost(operator: User, web_group: DeviceGroup) -> DeviceGroup:
    """A group that the operator may use no more."""
    group = factories.group("lost", devices=[factories.device("lost-1")], people=[operator])
    task = factories.task(
        operator, groups=[group, web_group], devices=[*web_group.devices.all()], name="Both"
    )
    task.device_ids = [*task.device_ids, *(str(one.pk) for one in group.devices.all())]
    task.save()
    group.people.clear()
    return group


def test_lost_targets_stay_ticked_and_are_refused_until_they_are_not(
    as_operator: Client, lost: DeviceGroup
) -> None:
    task = ScheduledTask.objects.get()
    before = (task.group_ids, task.device_ids)
    address = f"/tasks/{task.pk}/edit"
    page = as_operator.get(address)
    assert page.content.decode().count(GONE) == 2
    assert "lost" not in page.content.decode()
    data = sent(page)
    assert (data["group_ids"], data["device_ids"]) == before
    refused = as_operator.post(address, data)
    assert refused.context["form"].other_errors == ["You may not use every target of this task."]
    assert refused.content.decode().count(GONE) == 2
    task.refresh_from_db()
    assert (task.group_ids, task.device_ids) == before
    data = sent(refused)
    data["group_ids"].remove(str(lost.pk))
    data["device_ids"].remove(before[1][-1])
    assert as_operator.post(address, data).status_code == 302
    task.refresh_from_db()
    assert (task.group_ids, task.device_ids) == (before[0][1:], before[1][:-1])


def test_a_revoked_device_stays_where_nobody_takes_it_out(
    as_operator: Client, operator: User, admin: User, web_device: Device, web_group: DeviceGroup
) -> None:
    task = factories.task(operator, groups=[web_group], devices=[web_device])
    fleet.revoke(web_device, admin)
    address = f"/tasks/{task.pk}/edit"
    page = as_operator.get(address)
    assert "Revoked" in page.content.decode()
    assert as_operator.post(address, sent(page)).status_code == 302
    task.refresh_from_db()
    assert task.device_ids == [str(web_device.pk)]


def test_of_very_many_the_lost_are_among_those_that_show(
    as_operator: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "MOST_SHOWN", 2)
    devices = [factories.device(f"web-{number}") for number in range(4)]
    group = factories.group("web", devices=devices, people=[operator])
    task = factories.task(operator, devices=devices)
    group.devices.remove(devices[3])
    page = as_operator.get(f"/tasks/{task.pk}/edit")
    data = sent(page)
    assert data["device_ids"] == [str(devices[3].pk), str(devices[0].pk)]
    assert data["kept_device_ids"] == [f"{devices[1].pk} {devices[2].pk}"]
    assert page.content.decode().count(GONE) == 1
