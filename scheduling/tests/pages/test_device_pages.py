from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from accounts import uuid7
from devices import enrollment, forms, groups
from devices.models import Device, DeviceGroup, EnrollmentToken
from scheduling import health, schedules
from scheduling.models import ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db


def shown(client: Client, query: str = "") -> list[str]:
    page = client.get(f"/devices/{query}").context["page"]
    return [device.name for device in page.object_list]


@pytest.fixture
def fleet(web_group: DeviceGroup) -> None:
    factories.device("away-1", online=False)
    factories.device("fresh-1", online=False, last_seen_at=None)
    Device.objects.filter(pk=factories.device("gone-1").pk).update(
        revoked_at="2026-01-01T00:00Z", is_online=False
    )


def test_an_empty_fleet_says_how_to_add_the_first_device(
    as_admin: Client, as_outsider: Client
) -> None:
    assert 'href="/devices/new"' in as_admin.get("/devices/").content.decode()
    page = as_outsider.get("/devices/").content.decode()
    assert "Ask an administrator to give you a group of devices." in page


def test_the_states_filter_and_revoked_devices_show_only_there(
    as_admin: Client, fleet: None
) -> None:
    assert shown(as_admin) == ["away-1", "fresh-1", "web-1"]
    assert shown(as_admin, "?status=online") == ["web-1"]
    assert shown(as_admin, "?status=offline") == ["away-1"]
    assert shown(as_admin, "?status=never_connected") == ["fresh-1"]
    assert shown(as_admin, "?status=revoked") == ["gone-1"]


def test_the_group_in_the_address_filters(
    as_admin: Client, web_group: DeviceGroup, fleet: None
) -> None:
    assert shown(as_admin, f"?group={web_group.pk}") == ["web-1"]


def test_a_group_that_is_not_theirs_finds_nothing(
    as_operator: Client, web_group: DeviceGroup, web_device: Device
) -> None:
    theirs = factories.group("theirs", devices=[web_device])
    assert shown(as_operator, f"?group={theirs.pk}") == []


def test_more_devices_ask_no_more_queries(as_admin: Client, web_group: DeviceGroup) -> None:
    def queries() -> int:
        health.forget_checks()
        with CaptureQueriesContext(connection) as captured:
            as_admin.get("/devices/")
        return len(captured)

    before = queries()
    factories.group("more", devices=[factories.device() for _ in range(10)])
    assert queries() == before
    with CaptureQueriesContext(connection) as captured:
        as_admin.get("/devices/")  # what is well is remembered
    assert len(captured) <= 12


@pytest.mark.parametrize(("address", "most"), [("/devices/", 5), ("/devices/{}/", 12)])
def test_of_many_groups_a_few_are_named_and_the_others_counted(
    as_operator: Client, operator: User, web_device: Device, address: str, most: int
) -> None:
    for number in range(30):
        factories.group(f"group {number:02}", devices=[web_device], people=[operator])
    factories.group("another's", devices=[web_device])
    page = as_operator.get(address.format(web_device.pk)).content.decode()
    shown = re.findall(r'class="tag"[^>]*>(?:<svg.*?</svg> )?(group \d\d|another)', page, re.S)
    assert shown == [f"group {number:02}" for number in range(most)]
    assert f'<a href="/groups/?device={web_device.pk}">and {30 - most} more</a>' in page


def test_the_groups_of_one_device_are_a_list_of_their_own(
    as_operator: Client, operator: User, web_group: DeviceGroup, web_device: Device
) -> None:
    factories.group("elsewhere", people=[operator])
    answer = as_operator.get(f"/groups/?device={web_device.pk}")
    assert [group.name for group, _counts in answer.context["rows"]] == ["web"]
    assert f'name="device" value="{web_device.pk}"' in answer.content.decode()
    for other in (factories.device().pk, "nonsense"):
        assert as_operator.get(f"/groups/?device={other}").status_code == 404


def test_a_device_shows_its_facts_and_what_ran_there(
    as_operator: Client, task: ScheduledTask, web_device: Device
) -> None:
    Device.objects.filter(pk=web_device.pk).update(facts={"cpu": {"count": 8}, "kernel": "6.1"})
    run = factories.run(factories.execution(task), web_device, status="succeeded")
    page = as_operator.get(f"/devices/{web_device.pk}/").content.decode()
    assert "cpu.count" in page
    assert f"?run={run.pk}" in page


def test_a_device_is_named_and_tagged(
    as_operator: Client, web_group: DeviceGroup, web_device: Device
) -> None:
    address = f"/devices/{web_device.pk}/edit"
    answer = as_operator.post(address, {"name": "web-9", "tags": "site=Hamburg\nspare"})
    assert answer["Location"] == web_device.get_absolute_url()
    web_device.refresh_from_db()
    assert (web_device.name, web_device.tags) == ("web-9", {"site": "Hamburg", "spare": ""})


def test_a_name_that_is_refused_stays_and_says_why(
    as_operator: Client, web_group: DeviceGroup, web_device: Device
) -> None:
    address = f"/devices/{web_device.pk}/edit"
    answer = as_operator.post(address, {"name": "", "tags": "site=Hamburg"})
    assert answer.context["form"].errors["name"]
    assert "site=Hamburg" in answer.content.decode()


def test_a_tag_that_would_move_it_into_a_group_of_others_stays_and_says_why(
    as_operator: Client, admin: User, web_group: DeviceGroup, web_device: Device
) -> None:
    given = {"name": "Secret", "kind": "dynamic", "query": "tag.site = berlin"}
    groups.create(admin, given)
    given = {"name": "web-1", "tags": "site=berlin"}
    page = as_operator.post(f"/devices/{web_device.pk}/edit", given).content.decode()
    assert "a group of other people" in page
    assert ("site=berlin" in page, "Secret" in page) == (True, False)


def test_revoke_names_what_ends_with_it_and_then_revokes(
    as_admin: Client, task: ScheduledTask, web_device: Device, sent: list[Any]
) -> None:
    run = factories.run(factories.execution(task), web_device, status="queued")
    address = f"/devices/{web_device.pk}/revoke"
    assert "1 run that waits for it ends as skipped." in as_admin.get(address).content.decode()
    as_admin.post(address)
    web_device.refresh_from_db()
    run.refresh_from_db()
    assert web_device.revoked_at is not None
    assert run.status == "skipped"


def test_delete_names_the_tasks_that_lose_it_and_then_deletes(
    as_admin: Client, operator: User, web_group: DeviceGroup, web_device: Device, sent: list[Any]
) -> None:
    task = factories.task(operator, devices=[web_device])
    schedules.execute_now(operator, factories.definition(devices=[web_device]))
    address = f"/devices/{web_device.pk}/delete"
    assert "1 task loses it as a target." in as_admin.get(address).content.decode()
    assert as_admin.post(address)["Location"] == "/devices/"
    task.refresh_from_db()
    assert task.device_ids == []
    assert not Device.objects.filter(pk=web_device.pk).exists()


def test_adding_a_device_shows_the_token_once_and_the_line_to_copy(
    as_admin: Client, web_group: DeviceGroup, signer: str, settings: Any
) -> None:
    typed = {"name": "kiosks", "group": str(web_group.pk), "uses_limit": "5", "expires_at": "2d"}
    answer = as_admin.post("/devices/new", typed)
    token, page = EnrollmentToken.objects.get(), answer.content.decode()
    assert (token.name, token.group, token.uses_limit) == ("kiosks", web_group, 5)
    assert answer.context["token"].startswith("dxe_")
    assert answer.context["token"] in page
    assert "deployx-agent enroll http://" in page
    assert answer.context["line"].startswith(
        f"curl -fsS {settings.DEPLOYX_PUBLIC_URL}/agent/install.sh | sudo sh -s --"
        f" --token-file deployx.token --fingerprint {signer}"
    )
    assert escape(answer.context["line"]) in page
    assert answer.context["token"] not in answer.context["line"]
    assert f"--server-key-fingerprint {signer}" in page
    assert "no-store" in answer["Cache-Control"]
    again = as_admin.get("/devices/new").content.decode()
    assert answer.context["token"] not in again
    assert "kiosks" in again


def test_without_a_server_key_the_page_says_that_a_worker_has_to_start(as_admin: Client) -> None:
    page = as_admin.get("/devices/new").content.decode()
    assert "a worker has to start first" in page


def test_an_end_nobody_understands_is_refused_beside_its_field(as_admin: Client) -> None:
    answer = as_admin.post("/devices/new", {"name": "x", "uses_limit": "1", "expires_at": "soon"})
    assert answer.context["form"].errors["expires_at"]
    assert answer.context["token"] is None
    assert not EnrollmentToken.objects.exists()


def test_a_token_is_revoked_behind_a_confirmation(as_admin: Client, as_operator: Client) -> None:
    as_admin.post("/devices/new", {"name": "kiosks", "uses_limit": "5", "expires_at": "1d"})
    EnrollmentToken.objects.update(uses_count=2)
    token = EnrollmentToken.objects.get()
    address = f"/devices/tokens/{token.pk}/revoke"
    assert [ask(address).status_code for ask in (as_operator.get, as_operator.post)] == [403, 403]
    assert f'href="{address}"' in as_admin.get("/devices/new").content.decode()
    page = as_admin.get(address).content.decode()
    assert "3 more machines could enrol with it, and cannot any more." in page
    assert "2 devices that came by it stay." in page
    token.refresh_from_db()
    assert token.revoked_at is None
    assert as_admin.post(address)["Location"] == "/devices/new"
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_the_list_is_sorted_as_the_address_says(as_admin: Client, fleet: None) -> None:
    Device.objects.filter(name="away-1").update(last_seen_at="2026-01-01T00:00Z")
    assert shown(as_admin, "?sort=seen") == ["web-1", "away-1", "fresh-1"]
    assert shown(as_admin, "?sort=newest") == ["fresh-1", "away-1", "web-1"]
    assert shown(as_admin, "?sort=nonsense") == ["away-1", "fresh-1", "web-1"]


def test_of_very_many_groups_the_first_are_offered_and_the_chosen_one(
    as_admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MOST_OFFERED", 2)
    groups = [factories.group(f"group {number}") for number in range(4)]
    page = as_admin.get(f"/devices/?group={groups[3].pk}")
    offer = page.context["offer"]
    assert [one.name for one in offer.groups] == ["group 3", "group 0", "group 1"]
    assert "<option disabled>There are more groups" in page.content.decode()
    field = as_admin.get(f"/devices/new?group={groups[3].pk}").context["form"]["group"]
    assert [label for _value, label in field.field.widget.choices][1:] == [
        "group 3",
        "group 0",
        "group 1",
    ]
    assert "There are more groups" in field.help_text


def arrivals(client: Client) -> str:
    headers = {"HX-Request": "true", "HX-Target": "arrivals"}
    return client.get("/devices/new", headers=headers).content.decode()


def test_a_device_that_arrives_is_greeted_and_led_to_its_first_command(
    as_admin: Client, admin: User
) -> None:
    token, _text = enrollment.issue(created_by=admin)
    assert "Waiting for the machine" in arrivals(as_admin)
    device = factories.device("kiosk-7", enrolled_with=token)
    page = arrivals(as_admin)
    assert "Welcome, kiosk-7" in page
    assert f'href="/commands/?device={device.pk}&amp;command-commands=hostname"' in page
    first = as_admin.get(f"/commands/?device={device.pk}&command-commands=hostname")
    assert "\nhostname</textarea>" in first.content.decode()


def test_devices_that_came_by_others_or_long_ago_are_not_greeted(
    as_admin: Client, admin: User
) -> None:
    mine, _text = enrollment.issue(created_by=admin)
    theirs, _text = enrollment.issue(created_by=factories.person(is_administrator=True))
    factories.device("theirs", enrolled_with=theirs)
    long_ago = uuid7.earliest(timezone.now() - timedelta(hours=2))
    factories.device("old", enrolled_with=mine, id=long_ago)
    assert "Welcome" not in arrivals(as_admin)


def test_who_may_not_add_devices_sees_none_arrive(as_operator: Client) -> None:
    assert as_operator.get("/devices/new").status_code == 403
