"""Somebody whose browser asks for German: the main pages, and what they say after doing something."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.utils.translation import override
from playwright.sync_api import expect

from devices.models import DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.tests import factories
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.thorough

TITLES = {
    "/": "Übersicht",
    "/tasks/": "Geplante Aufgaben",
    "/executions/": "Verlauf",
    "/calendar/": "Kalender",
    "/devices/": "Geräte",
    "/groups/": "Gruppen",
    "/files/": "Dateien",
    "/software/": "Software",
    "/commands/": "Befehl ausführen",
    "/settings/templates/": "Vorlagen",
    "/settings/tokens/": "API-Tokens",
}
# Words that our English pages are full of, and German ones are not.
ENGLISH = re.compile(r"\b(the|and|with|devices?|tasks?|runs?|search|next|last)\b", re.IGNORECASE)


@pytest.fixture
def besucher(german_visitor: Visitor, operator: User) -> Visitor:
    page = german_visitor.opens("/accounts/login/")
    page.get_by_label("Anmeldename").fill("operator")
    page.get_by_label("Passwort", exact=True).fill("password")
    page.get_by_role("button", name="Anmelden").click()
    page.wait_for_url(f"{german_visitor.address}/")
    return german_visitor


@pytest.fixture
def aufgabe(operator: User, web_group: DeviceGroup) -> ScheduledTask:
    """Named so that nothing on its pages is English by itself."""
    return factories.task(operator, name="Plattenplatz", groups=[web_group])


def test_the_main_pages_are_german(besucher: Visitor, aufgabe: ScheduledTask) -> None:
    wrong = {}
    for path, title in TITLES.items():
        page = besucher.opens(path)
        expect(page).to_have_title(f"{title} · DeployX")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        text = " ".join(page.locator("main").all_inner_texts())
        if found := ENGLISH.findall(text):
            wrong[path] = found
    assert wrong == {}


def test_a_task_is_scheduled_in_german(besucher: Visitor, aufgabe: ScheduledTask) -> None:
    page = besucher.opens(f"/tasks/{aufgabe.pk}/")
    with override("de"):
        expect(page.get_by_text(aufgabe.schedule_text).first).to_be_visible()
    page.get_by_role("button", name="Pausieren").first.click()
    expect(page.get_by_text("„Plattenplatz“ ist pausiert.")).to_be_visible()


def test_a_refusal_is_german(besucher: Visitor) -> None:
    page = besucher.opens("/settings/tokens/")
    page.get_by_role("button", name="Token ausstellen").click()
    expect(page.get_by_text("muss von 1 bis 100 Zeichen haben.")).to_be_visible()


def test_the_administration_is_german(german_visitor: Visitor, admin: User) -> None:
    german_visitor.opens("/accounts/login/?next=/admin/")
    page = german_visitor.page
    page.get_by_label("Anmeldename").fill("admin")
    page.get_by_label("Passwort", exact=True).fill("password")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_text("DeployX-Verwaltung").first).to_be_visible()
