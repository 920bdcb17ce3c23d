"""The pages on which one chooses what and where: what they offer, run, schedule and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from devices.agent import kinds
from devices.models import Device, DeviceGroup
from scheduling.models import Execution, ScheduledTask, Software
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store

pytestmark = pytest.mark.django_db

IN_THE_PAGE = {"HX-Request": "true", "HX-Target": "task-form"}


@pytest.fixture
def command(daily_df: dict[str, Any]) -> dict[str, Any]:
    """What the page's form sends for `df -h` on the group web, its dialog untouched."""
    return {
        **daily_df,
        "time_zone": "UTC",
    }


def test_execute_now_runs_it_under_the_name_of_what_it_does(
    as_operator: Client, command: dict[str, Any]
) -> None:
    answer = as_operator.post("/commands/", command | {"execute_now": "1"})
    execution = Execution.objects.get()
    assert answer["Location"] == execution.get_absolute_url()
    assert execution.task_name == "df -h"
    assert not ScheduledTask.objects.listed().exists()


def test_schedule_makes_a_task_with_what_the_dialog_says(
    as_operator: Client, command: dict[str, Any]
) -> None:
    given = {"name": "Disks", "schedule": "1", "recurrence_type": "interval", "unit": "hours"}
    answer = as_operator.post("/commands/", command | given)
    task = ScheduledTask.objects.get()
    assert answer["Location"] == task.get_absolute_url()
    assert (task.name, task.recurrence_config) == ("Disks", {"every": 1, "unit": "hours"})
    assert task.task_payload["commands"] == ["df -h"]


def test_the_dialog_opens_again_where_it_has_to_be_put_right(
    as_operator: Client, command: dict[str, Any]
) -> None:
    page = as_operator.post("/commands/", command | {"schedule": "1"}).content.decode()
    assert "data-open>" in page
    assert 'id="id_name_error"' in page


def test_the_dialog_stays_shut_where_the_page_has_to_be_put_right(
    as_operator: Client, command: dict[str, Any]
) -> None:
    wrong = command | {"schedule": "1", "group_ids": []}
    page = as_operator.post("/commands/", wrong).content.decode()
    assert "data-open>" not in page
    assert "Name at least one device or group." in page
    assert "df -h" in page


def test_its_script_gets_the_form_alone_and_is_told_where_to_go(
    as_operator: Client, command: dict[str, Any]
) -> None:
    form = as_operator.post("/commands/", command | {"schedule": "1"}, headers=IN_THE_PAGE)
    assert form.content.decode().startswith("<form")
    done = as_operator.post("/commands/", command | {"execute_now": "1"}, headers=IN_THE_PAGE)
    assert done["HX-Redirect"] == Execution.objects.get().get_absolute_url()


def test_without_a_script_schedule_leads_to_the_form_with_all_that_was_chosen(
    as_operator: Client, command: dict[str, Any], web_group: DeviceGroup
) -> None:
    page = as_operator.post("/tasks/new", command | {"look": "1"}).content.decode()
    assert "\ndf -h</textarea>" in page
    assert f'value="{web_group.pk}" checked' in page
    # What another kind would ask for is as it is at first.
    assert 'name="file_deployment-backup" value="on" checked' in page
    assert not ScheduledTask.objects.exists()


def test_ticked_files_are_chosen_and_deployed(
    as_operator: Client, stored: Store, web_device: Device, web_group: DeviceGroup
) -> None:
    files = [stored(name="motd"), stored(b"x", name="issue")]
    ids = [str(file.pk) for file in files]
    page = as_operator.get("/files/", {"file": ids, "deploy": "1"}).content.decode()
    assert page.count('name="file_deployment-file_ids"') == 2
    typed = {
        "file_deployment-file_ids": ids,
        "file_deployment-target_path": "/srv/",
        "device_ids": [str(web_device.pk)],
        "execute_now": "1",
    }
    as_operator.post("/files/", typed)
    execution = Execution.objects.get()
    assert execution.definition["task_payload"]["file_ids"] == ids
    assert execution.task_name == "2 files to /srv/"


def test_ticked_software_is_chosen_and_scheduled(
    as_operator: Client, admin: User, web_group: DeviceGroup
) -> None:
    entry = factories.software(admin)
    page = as_operator.get("/software/", {"software": str(entry.pk)}).content.decode()
    assert f'value="{entry.pk}" checked' in page
    typed = {
        "name": "Tools",
        "software_deployment-software_ids": [str(entry.pk)],
        "software_deployment-action": "install",
        "group_ids": [str(web_group.pk)],
        "recurrence_type": "once",
        "by_hand": "on",
        "time_zone": "UTC",
        "schedule": "1",
    }
    as_operator.post("/software/", typed)
    assert ScheduledTask.objects.get().task_payload["software_ids"] == [str(entry.pk)]


def test_what_needs_what_is_uninstalled_is_named_before_that(
    as_operator: Client, admin: User, web_group: DeviceGroup
) -> None:
    runtime, tools = factories.software(admin, name="Runtime"), factories.software(admin)
    needs = {"dependency_ids": [str(runtime.pk), str(tools.pk)]}
    suite, also = (factories.software(admin, name=name, **needs) for name in ("Suite", "Editor"))

    def said(action: str, *chosen: Software) -> str:
        typed = {
            "task_type": "software_deployment",
            "software_deployment-software_ids": [str(one.pk) for one in chosen],
            "software_deployment-action": action,
        }
        part = as_operator.post("/tasks/needing", typed).content.decode()
        for address in ("/software/", "/tasks/new"):
            assert part in as_operator.post(address, {**typed, "look": "1"}).content.decode()
        return part

    both = said("uninstall", runtime, tools)
    assert "may no longer work" in both
    assert [both.count(one.get_absolute_url()) for one in (suite, also, tools)] == [1, 1, 0]
    left = said("uninstall", runtime, suite)
    assert (suite.get_absolute_url() in left, also.get_absolute_url() in left) == (False, True)
    silent = [said("install", runtime), said("uninstall", suite), said("uninstall")]
    assert [one.strip() for one in silent] == ["", "", ""]


@pytest.mark.parametrize("address", ["/files/", "/software/"])
def test_the_lists_stay_lists_until_something_is_chosen(as_operator: Client, address: str) -> None:
    assert 'id="task-form"' not in as_operator.get(address).content.decode()
    assert 'id="task-form"' in as_operator.get(f"{address}?deploy=1").content.decode()


def test_nobody_runs_on_devices_or_deploys_files_that_are_not_theirs(
    as_outsider: Client, command: dict[str, Any], stored: Store, web_group: DeviceGroup
) -> None:
    refused = as_outsider.post("/commands/", command | {"execute_now": "1"})
    assert refused.context["form"].target_errors == [f"Not found: {web_group.pk}."]
    assert refused.context["pickers"].reach.devices == 0
    page = as_outsider.get("/files/", {"file": str(stored(name="motd").pk)}).content.decode()
    assert "gone, or not yours" in page
    assert "motd" not in page
    assert not Execution.objects.exists()


def test_any_kind_has_a_page_and_what_is_no_kind_has_none(as_operator: Client) -> None:
    assert "Commands" in as_operator.get("/deploy/command/").content.decode()
    assert as_operator.get("/deploy/nothing/").status_code == 404
    assert as_operator.get("/files/?file=nothing").status_code == 404


def test_a_kind_that_is_one_more_file_has_a_page_and_a_place_in_the_navigation(
    as_operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Greeting(type(kinds.get("command"))):  # type: ignore[misc]
        name, label, payload_field = "greeting", "Greeting", "greeting_payload"

    monkeypatch.setitem(kinds._kinds, "greeting", Greeting())
    page = as_operator.get("/deploy/greeting/").content.decode()
    assert "<h1>Greeting</h1>" in page
    assert 'name="greeting-commands"' in page
    assert '<a href="/deploy/greeting/" aria-current="page">' in page


def test_how_many_are_reached_is_said_with_what_they_are_in(
    as_operator: Client, operator: User, web_group: DeviceGroup
) -> None:
    away = factories.device("away", online=False)
    factories.group("more", devices=[away], people=[operator])
    query = {"group": str(web_group.pk), "device": str(away.pk)}
    page = as_operator.get("/commands/", query).content.decode()
    assert page.count("<strong>2 devices now</strong> (1 group + 1 device), 1 offline.") == 2


def test_the_page_takes_a_dozen_queries_at_most(
    as_admin: Client, admin: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    groups = [factories.group(devices=[factories.device()]) for _number in range(20)]
    as_admin.get("/commands/")
    query = {"group": [str(group.pk) for group in groups]}
    with django_assert_max_num_queries(12):
        as_admin.get("/commands/", query)
