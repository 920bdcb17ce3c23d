"""A button pressed after the session has ended: signing in leads to a page, and did nothing meanwhile."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, reverse

from accounts.page_urls import urlpatterns as of_accounts
from devices.models import Device, DeviceGroup
from devices.page_urls import urlpatterns as of_devices
from scheduling.models import ScheduledTask
from scheduling.page_urls import urlpatterns as of_scheduling
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
OF_SCRIPTS = {"catalogue-picker", "group-preview", "task-needing", "task-preview", "task-targets"}


@pytest.fixture
def buttons(
    admin: User, task: ScheduledTask, web_group: DeviceGroup, web_device: Device
) -> dict[str, str]:
    """The address of every view that only takes a POST, by its name."""
    execution = factories.execution(task)
    those = {
        task: ("task-execute", "task-pause", "task-resume"),
        execution: ("rollout-pause", "rollout-promote", "rollout-resume"),
        web_device: ("device-update-agent",),
        web_group: ("group-devices", "group-people"),
    }
    return {name: reverse(name, args=[row.pk]) for row, names in those.items() for name in names}


def signs_in(client: Client, answer: Any) -> Any:
    """On the page that answered; what comes then."""
    wanted = parse_qs(urlsplit(answer["Location"]).query)["next"][0]
    typed = {"login": "admin", "password": "password", "next": wanted}
    return client.post(answer["Location"], typed, follow=True)


def test_each_leads_to_a_page(buttons: dict[str, str], task: ScheduledTask) -> None:
    for name, address in buttons.items():
        client = Client()
        page = signs_in(client, client.post(address))
        assert page.status_code == 200, name
        assert page.redirect_chain, name
    assert task.executions.count() == 1


def test_where_the_form_says_where_it_stood_one_comes_back_there(buttons: dict[str, str]) -> None:
    client = Client()
    pressed = client.post(buttons["task-pause"], {"next": "/tasks/?status=pending"})
    page = signs_in(client, pressed)
    assert page.redirect_chain[-1][0] == "/tasks/?status=pending"
    elsewhere = Client().post(buttons["task-pause"], {"next": "https://elsewhere.example/"})
    assert "elsewhere" not in elsewhere["Location"]


def test_those_are_all_there_are(as_admin: Client, buttons: dict[str, str]) -> None:
    patterns: list[URLPattern] = [*of_accounts, *of_devices, *of_scheduling]
    uuid = "00000000-0000-0000-0000-000000000000"
    kinds = {"pk": uuid, "kind": "command"}
    only_posted = set()
    for pattern in patterns:
        named = {name: kinds[name] for name in pattern.pattern.converters}
        if as_admin.get(reverse(str(pattern.name), kwargs=named)).status_code == 405:
            only_posted.add(pattern.name)
    assert only_posted == buttons.keys() | OF_SCRIPTS


@pytest.mark.parametrize("name", sorted(OF_SCRIPTS))
def test_what_a_script_asked_leads_to_the_page_it_asked_from(admin: User, name: str) -> None:
    script: Any = {"HX-Current-URL": "http://testserver/tasks/new?device="}
    for headers, page in (({}, "/"), (script, "/tasks/new?device=")):
        client = Client()
        led = signs_in(client, client.post(reverse(name), headers=headers))
        assert led.redirect_chain[-1][0] == page
