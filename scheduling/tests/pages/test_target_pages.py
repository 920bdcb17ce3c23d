"""Turning the pages of the targets where no script runs: a button of the form, which makes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from devices.models import Device, DeviceGroup
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def typed(daily_df: dict[str, Any], web_device: Device) -> dict[str, Any]:
    """A form that would be accepted."""
    return {
        "name": "Disk space",
        **daily_df,
        "time_zone": "Europe/Berlin",
        "device_ids": [str(web_device.pk)],
    }


@pytest.fixture
def many(operator: User, web_group: DeviceGroup) -> None:
    for number in range(30):
        device = factories.device(f"device-{number:02}")
        web_group.devices.add(device)
        factories.group(f"group-{number:02}", devices=[device], people=[operator])


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("pressed", "kind"), [("device_page", "device"), ("group_page", "group")])
def test_a_page_on_shows_the_next_and_keeps_all_that_was_typed(
    as_operator: Client, typed: dict[str, Any], pressed: str, kind: str
) -> None:
    answer = as_operator.post("/tasks/new", typed | {pressed: "2"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert not ScheduledTask.objects.exists()
    found = getattr(answer.context["pickers"], f"{kind}s").found.object_list
    assert [one.name for one in found] == [f"{kind}-{number}" for number in range(12, 24)]
    assert f'name="{kind}_page" value="1"' in page
    assert f'name="{kind}_page" value="3"' in page
    for one in (*typed["device_ids"], *typed["group_ids"]):
        assert f'value="{one}" checked' in page
    assert 'value="Disk space"' in page
    assert as_operator.post("/tasks/new", typed).status_code == 302


@pytest.mark.usefixtures("many")
def test_a_search_by_its_button_finds_and_makes_nothing(
    as_operator: Client, typed: dict[str, Any]
) -> None:
    looked = typed | {"look": "1", "device_search": "device-29", "execute_now": "1"}
    answer = as_operator.post("/tasks/new", looked)
    assert answer.status_code == 200
    found = answer.context["pickers"].devices.found.object_list
    assert [one.name for one in found] == ["device-29"]
    assert not Execution.objects.exists()
