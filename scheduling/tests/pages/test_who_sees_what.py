from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, reverse

from accounts import page_urls as accounts_urls
from devices import page_urls as devices_urls
from devices.models import Device, DeviceGroup
from scheduling import page_urls as scheduling_urls
from scheduling.models import Execution, ScheduledTask
from scheduling.tests import factories

pytestmark = pytest.mark.django_db

LISTS = [
    "overview",
    "task-list",
    "task-new",
    "execution-list",
    "file-list",
    "file-new",
    "software-list",
    "device-list",
    "group-list",
    "template-list",
    "token-list",
]
OF_A_TASK = ["task", "task-edit", "task-delete", "task-changes", "task-template"]
POSTS_ON_A_TASK = ["task-pause", "task-resume", "task-execute", "task-delete"]
OF_AN_EXECUTION = [
    "execution",
    "execution-cancel",
    "execution-retry",
    "execution-restore",
    "rollout-abort",
]
STEERING = [
    "execution-cancel",
    "execution-retry",
    "execution-restore",
    "rollout-pause",
    "rollout-resume",
    "rollout-promote",
    "rollout-abort",
]
FOR_ADMINISTRATORS = ["device-new", "group-new", "software-new", "health", "system-health"]


@pytest.fixture
def execution(task: ScheduledTask, web_device: Device) -> Any:
    execution = factories.execution(task)
    factories.run(execution, web_device, status="running")
    return execution


PATTERNS = [*accounts_urls.urlpatterns, *devices_urls.urlpatterns, *scheduling_urls.urlpatterns]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_sign_in_every_page_leads_to_it(
    db: None, client: Client, pattern: URLPattern, method: str
) -> None:
    args = [uuid4()] if pattern.pattern.converters else []
    answer = getattr(client, method)(reverse(pattern.name, args=args))
    if answer.status_code != 405:
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize(
    "pattern",
    [one for one in PATTERNS if one.pattern.converters],
    ids=lambda pattern: pattern.name,
)
def test_what_is_not_there_is_a_404_even_to_administrators(
    as_admin: Client, pattern: URLPattern
) -> None:
    address = reverse(pattern.name, args=[uuid4()])
    answers = {as_admin.get(address).status_code, as_admin.post(address).status_code}
    assert 404 in answers
    assert answers <= {404, 405}


@pytest.mark.parametrize("name", LISTS)
def test_every_page_opens_to_the_operator(
    as_operator: Client, task: ScheduledTask, name: str
) -> None:
    assert as_operator.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_every_page_opens_where_there_is_nothing_yet(as_outsider: Client, name: str) -> None:
    assert as_outsider.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", OF_A_TASK)
def test_a_task_is_there_for_its_owner_and_for_nobody_else(
    as_operator: Client, as_outsider: Client, as_admin: Client, task: ScheduledTask, name: str
) -> None:
    address = reverse(name, args=[task.pk])
    assert as_operator.get(address).status_code == 200
    assert as_admin.get(address).status_code == 200
    assert as_outsider.get(address).status_code == 404


@pytest.mark.parametrize("name", POSTS_ON_A_TASK)
def test_nobody_else_may_press_a_tasks_buttons(
    as_outsider: Client, task: ScheduledTask, name: str
) -> None:
    assert as_outsider.post(reverse(name, args=[task.pk])).status_code == 404
    task.refresh_from_db()
    assert not task.is_paused
    assert not task.executions.exists()


@pytest.mark.parametrize("name", OF_AN_EXECUTION)
def test_an_execution_is_there_for_the_tasks_owner_and_for_nobody_else(
    as_operator: Client, as_outsider: Client, execution: Any, name: str
) -> None:
    address = reverse(name, args=[execution.pk])
    assert as_operator.get(address).status_code == 200
    assert as_outsider.get(address).status_code == 404


@pytest.mark.parametrize("name", STEERING)
def test_nobody_else_may_steer_an_execution(as_outsider: Client, execution: Any, name: str) -> None:
    before = Execution.objects.filter(pk=execution.pk).values().get()
    assert as_outsider.post(reverse(name, args=[execution.pk])).status_code == 404
    assert Execution.objects.filter(pk=execution.pk).values().get() == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_else_may_cancel_a_run(as_outsider: Client, execution: Any, method: str) -> None:
    run = execution.runs.get()
    address = reverse("run-cancel", args=[run.pk])
    assert getattr(as_outsider, method)(address).status_code == 404
    run.refresh_from_db()
    assert run.cancel_requested_at is None


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_else_may_restore_a_run(as_outsider: Client, execution: Any, method: str) -> None:
    address = reverse("run-restore", args=[execution.runs.get().pk])
    assert getattr(as_outsider, method)(address).status_code == 404
    assert Execution.objects.count() == 1


@pytest.mark.parametrize("name", ["device", "device-edit", "device-software"])
def test_a_device_is_there_for_who_was_given_its_group(
    as_operator: Client, as_outsider: Client, web_group: DeviceGroup, web_device: Device, name: str
) -> None:
    address = reverse(name, args=[web_device.pk])
    assert as_operator.get(address).status_code == 200
    assert as_outsider.get(address).status_code == 404


def test_a_group_is_there_for_who_was_given_it(
    as_operator: Client, as_outsider: Client, web_group: DeviceGroup
) -> None:
    address = reverse("group", args=[web_group.pk])
    assert as_operator.get(address).status_code == 200
    assert as_outsider.get(address).status_code == 404


def test_a_device_shows_only_the_history_this_person_may_see(
    as_admin: Client, as_operator: Client, web_group: DeviceGroup, web_device: Device, admin: User
) -> None:
    theirs = factories.execution(factories.task(admin, devices=[web_device], name="Secret plan"))
    factories.run(theirs, web_device)
    address = reverse("device", args=[web_device.pk])
    assert "Secret plan" in as_admin.get(address).content.decode()
    assert "Secret plan" not in as_operator.get(address).content.decode()


@pytest.mark.parametrize("name", FOR_ADMINISTRATORS)
def test_who_is_in_the_fleet_is_for_administrators(
    as_operator: Client, as_admin: Client, name: str
) -> None:
    assert as_operator.get(reverse(name)).status_code == 403
    assert as_admin.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", ["device-revoke", "device-delete"])
def test_revoking_and_deleting_a_device_is_for_administrators(
    as_operator: Client, web_group: DeviceGroup, web_device: Device, name: str
) -> None:
    assert as_operator.post(reverse(name, args=[web_device.pk])).status_code == 403
    web_device.refresh_from_db()
    assert web_device.revoked_at is None


@pytest.mark.parametrize("name", ["group-edit", "group-delete", "group-people"])
def test_changing_a_group_is_for_administrators(
    as_operator: Client, web_group: DeviceGroup, name: str
) -> None:
    assert as_operator.post(reverse(name, args=[web_group.pk])).status_code == 403
    assert DeviceGroup.objects.filter(pk=web_group.pk).exists()


def test_the_way_to_people_is_shown_to_who_may_change_them(
    as_admin: Client, as_operator: Client, operator: User
) -> None:
    people = f'href="{reverse("admin:auth_user_changelist")}"'
    assert people in as_admin.get("/").content.decode()
    assert people not in as_operator.get("/").content.decode()
    operator.is_staff = True
    operator.save()
    assert people not in as_operator.get("/").content.decode()
    operator.user_permissions.set(Permission.objects.filter(codename="change_user"))
    assert people in as_operator.get("/").content.decode()
    assert as_operator.get(reverse("admin:auth_user_changelist")).status_code == 200
    operator.is_staff = False
    operator.save()
    assert people not in as_operator.get("/").content.decode()
