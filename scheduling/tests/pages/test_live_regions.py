"""What of a page follows changes: each such region is answered alone, by the page's own partial."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from devices import enrollment
from devices.models import Device, DeviceGroup
from scheduling import audience, templates
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store

pytestmark = pytest.mark.django_db
REGION = re.compile(r'<\w+ (?:class="[^"]*" )?id="([\w-]+)"[^>]* ?data-live="([^"]*)"')


@pytest.fixture
def addresses(
    admin: User, stored: Store, task: ScheduledTask, web_group: DeviceGroup, web_device: Device
) -> dict[str, str]:
    """By the region each is to have, of lists and pages with something on them."""
    enrollment.issue(web_group, created_by=admin)
    tokens.issue(admin, "laptop")
    execution = factories.execution(task)
    template = templates.create(admin, {"name": "Daily", **templates.of_task(task)})
    return {
        "overview": "/",
        "days": "/",
        "task-list": "/tasks/",
        "task": task.get_absolute_url(),
        "changes": f"{task.get_absolute_url()}changes",
        "execution-list": "/executions/",
        "execution": execution.get_absolute_url(),
        "calendar": "/calendar/",
        "file-list": "/files/",
        "uploads": "/files/",
        "file": stored().get_absolute_url(),
        "software-list": "/software/",
        "software": factories.software(admin).get_absolute_url(),
        "device-list": "/devices/",
        "device": web_device.get_absolute_url(),
        "device-software": f"/devices/{web_device.pk}/software",
        "enrollment-tokens": "/devices/new",
        "group-list": "/groups/",
        "group": web_group.get_absolute_url(),
        "template-list": "/settings/templates/",
        "template": template.get_absolute_url(),
        "token-list": "/settings/tokens/",
        "health": "/health/",
    }


def regions(page: str) -> dict[str, set[str]]:
    """Of what kinds of changes each hears."""
    return {name: set(kinds.split()) for name, kinds in REGION.findall(page)}


def test_every_list_and_page_follows_and_hears_of_kinds_there_are(
    as_admin: Client, addresses: dict[str, str]
) -> None:
    for name, address in addresses.items():
        found = regions(as_admin.get(address).content.decode())
        # What happened on each day is asked for once a minute and by no change.
        assert bool(found[name]) is (name != "days"), address
        assert set().union(*found.values()) <= audience.KINDS.keys(), address


def test_each_region_is_answered_alone(as_admin: Client, addresses: dict[str, str]) -> None:
    for name, address in addresses.items():
        headers: Any = {"HX-Request": "true", "HX-Target": name}
        answer = as_admin.get(address, headers=headers).content.decode()
        assert name in regions(answer), address
        assert "<html" not in answer, address
