"""What a query would find, while it is being typed."""

from __future__ import annotations

import pytest
from django.test import Client

from devices.models import Device, DeviceGroup
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def preview(client: Client, query: str) -> str:
    answer = client.post("/groups/preview", {"query": query}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_counts_and_names_what_a_query_finds(as_admin: Client, web_device: Device) -> None:
    for name in ("kiosk-1", "kiosk-2"):
        factories.device(name)
    page = preview(as_admin, "name ~ kiosk")
    assert "2 devices now" in page
    assert [name in page for name in ("kiosk-1", "kiosk-2", "web-1")] == [True, True, False]
    assert "1 device now" in preview(as_admin, "name ~ web")
    assert "0 devices now" in preview(as_admin, "name = nobody")


def test_what_is_wrong_with_a_query_is_said(as_admin: Client, web_device: Device) -> None:
    page = preview(as_admin, "name ~")
    assert 'class="errors"' in page
    assert "now" not in page


def test_nothing_typed_finds_nothing(as_admin: Client, web_device: Device) -> None:
    assert "<p" not in preview(as_admin, "  ")


def test_a_person_is_told_of_no_device_but_their_own(
    as_operator: Client, as_outsider: Client, web_device: Device, web_group: DeviceGroup
) -> None:
    factories.device("theirs")
    page = preview(as_operator, "name ~ e")
    assert ("1 device now" in page, "web-1" in page, "theirs" in page) == (True, True, False)
    page = preview(as_outsider, "name ~ e")
    assert ("0 devices now" in page, "<li>" in page) == (True, False)
