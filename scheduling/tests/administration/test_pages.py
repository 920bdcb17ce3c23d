from __future__ import annotations

from itertools import pairwise

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.administration import ReadOnlyAdmin
from accounts.models import ApiToken
from devices.models import Device, DeviceGroup, EnrollmentToken, ServerKey
from scheduling.admin import tasks
from scheduling.models import (
    Alarm,
    DeviceRun,
    Execution,
    OutputChunk,
    OutputGap,
    ScheduledTask,
    Software,
    TaskChange,
)
from scheduling.tests import factories
from scheduling.tests.administration.conftest import OURS, registered, sign_in, url

each_model = pytest.mark.parametrize("model", registered(), ids=lambda model: model.__name__)


def read_only() -> list[type[Model]]:
    shown = admin.site._registry
    return [model for model in registered() if isinstance(shown[model], ReadOnlyAdmin)]


def test_every_model_of_ours_is_in_the_admin() -> None:
    shown = set(registered())
    for model_admin in admin.site._registry.values():
        shown |= {inline.model for inline in model_admin.inlines}
    ours = {model for model in apps.get_models() if model._meta.app_label in OURS}
    assert ours - shown == set()


def test_django_finds_nothing_wrong_with_it() -> None:
    assert admin.site.check([*apps.get_app_configs()]) == []


@each_model
def test_every_page_opens_with_something_on_it(
    office: Client, everything: Model, model: type[Model]
) -> None:
    row = model._default_manager.all()[:1].get()
    assert office.get(url(model, "changelist")).status_code == 200
    assert office.get(url(model, "change", row.pk)).status_code == 200
    assert office.get(url(model, "history", row.pk)).status_code == 200


@each_model
def test_every_page_searches(office: Client, everything: Model, model: type[Model]) -> None:
    if admin.site._registry[model].search_fields:
        assert office.get(url(model, "changelist"), {"q": "web"}).status_code == 200


@each_model
def test_the_add_page_opens_or_is_closed_to_everybody(
    office: Client, everything: Model, model: type[Model]
) -> None:
    writable = {ScheduledTask, DeviceGroup}
    expected = 200 if model in writable else 403
    assert office.get(url(model, "add")).status_code == expected


@pytest.mark.parametrize("model", read_only(), ids=lambda model: model.__name__)
def test_history_cannot_be_rewritten(office: Client, everything: Model, model: type[Model]) -> None:
    row = model._default_manager.all()[:1].get()
    assert office.post(url(model, "add"), {"name": "new"}).status_code == 403
    assert office.post(url(model, "change", row.pk), {"status": "failed"}).status_code == 403
    assert office.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


@each_model
def test_who_is_not_staff_is_sent_to_sign_in(
    operator: User, everything: Model, model: type[Model]
) -> None:
    for client in (Client(), sign_in(operator)):
        response = client.get(url(model, "changelist"))
        assert response.status_code == 302
        assert "login" in response["Location"]


@each_model
def test_staff_sees_only_what_is_visible_to_them(
    everything: Model, outsider: User, model: type[Model]
) -> None:
    request = RequestFactory().get("/")
    request.user = outsider
    is_for_all = model is Software  # the catalogue is everybody's to read
    assert admin.site._registry[model].get_queryset(request).exists() == is_for_all


def test_staff_sees_what_is_theirs(
    clerk: Client, everything: Model, admin: User, web_device: Device
) -> None:
    foreign = factories.execution(factories.task(admin, name="Foreign"))
    run = factories.run(foreign)
    page = clerk.get(url(ScheduledTask, "changelist"))
    assert b"Disk space" in page.content
    assert b"Foreign" not in page.content
    assert b"web-1" in clerk.get(url(Device, "changelist")).content
    for row in (foreign, run, foreign.task, run.device):
        assert row is not None
        response = clerk.get(url(type(row), "change", row.pk))
        assert response.status_code == 302  # as for a row that is not there


def test_secrets_and_signed_bytes_are_on_no_page(office: Client, everything: Model) -> None:
    run = DeviceRun.objects.get()
    token, machine = ApiToken.objects.get(), EnrollmentToken.objects.get()
    secrets = [token.key_sha256, machine.token_sha256, "signature", "terms"]
    key = ServerKey.objects.get()
    for row in (token, machine, run, run.execution, key, run.device):
        assert row is not None
        page = office.get(url(type(row), "change", row.pk)).content.decode()
        assert [one for one in secrets if one in page] == []


def more_rows() -> None:
    person = factories.person(is_administrator=True)
    device = factories.device()
    factories.group(devices=[device])
    run = factories.run(factories.execution(factories.task(person)), device, status="running")
    factories.write_output(run, b"hello\n")
    OutputGap.objects.create(run=run, offset=6, bytes=3)


@pytest.mark.parametrize(
    "model",
    [ScheduledTask, Execution, DeviceRun, OutputChunk, OutputGap, Device, DeviceGroup],
    ids=lambda model: model.__name__,
)
def test_a_list_costs_the_same_whatever_its_length(
    office: Client, everything: Model, model: type[Model]
) -> None:
    costs = []
    for _number in range(2):
        office.get(url(model, "changelist"))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            office.get(url(model, "changelist"))
        costs.append(len(queries))
        for _row in range(4):
            more_rows()
    assert costs[0] == costs[1]


def test_no_page_offers_every_device(office: Client, everything: Model) -> None:
    group = DeviceGroup.objects.get()
    names = {factories.device().name for _number in range(3)}
    run = DeviceRun.objects.get()
    for row in (group, run, run.execution, everything):
        page = office.get(url(type(row), "change", row.pk)).content.decode()
        assert not any(name in page for name in names)


def test_history_leads_from_task_to_execution_to_run_to_output(
    office: Client, everything: Model
) -> None:
    run = DeviceRun.objects.get()
    chunk = OutputChunk.objects.get()
    trail = [everything, run.execution, run, chunk]
    for here, there in pairwise(trail):
        page = office.get(url(type(here), "change", here.pk)).content.decode()
        listing = url(type(there), "changelist")
        assert f'href="{listing}?' in page
        query = page.split(f'href="{listing}')[1].split('"')[0]
        assert str(there.pk) in office.get(listing + query).content.decode()


def test_history_leads_back_from_what_came_of_it(office: Client, everything: ScheduledTask) -> None:
    run, alarm = DeviceRun.objects.get(), Alarm.objects.get()
    change = TaskChange.objects.filter(task=everything)[:1].get()
    device = run.device
    for here, there in (
        (run.execution, everything),
        (run, run.execution),
        (run, device),
        (change, everything),
        (alarm, device),
    ):
        assert there is not None
        page = office.get(url(type(here), "change", here.pk)).content.decode()
        assert f'href="{url(type(there), "change", there.pk)}"' in page, (here, there)


def test_a_device_leads_to_its_runs(office: Client, everything: Model) -> None:
    run = DeviceRun.objects.get()
    page = office.get(url(Device, "change", run.device_id)).content.decode()
    address = f"{url(DeviceRun, 'changelist')}?device__id__exact={run.device_id}"
    assert f'href="{address}"' in page
    assert str(run.pk) in office.get(address).content.decode()


def test_a_task_leads_to_the_devices_and_groups_it_targets(
    office: Client, admin: User, web_group: DeviceGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MOST_LED_TO", 2)
    devices = [factories.device(f"target-{number}") for number in range(3)]
    factories.device("other")
    task = factories.task(admin, devices=devices, groups=[web_group])
    page = office.get(url(ScheduledTask, "change", task.pk)).content.decode()
    for model, names, words in (
        (Device, ["target-0", "target-1"], "2 of 3"),
        (DeviceGroup, ["web"], "1"),
    ):
        address = page.split(f'">{words}</a>')[0].rsplit('href="', 1)[1]
        assert address.startswith(f"{url(model, 'changelist')}?id__in=")
        shown = office.get(address).context["cl"].result_list
        assert sorted(one.name for one in shown) == names


def test_the_admin_has_no_sign_in_of_its_own(operator: User) -> None:
    at_the_door = Client().get("/admin/login/", {"next": "/admin/"})
    assert at_the_door.status_code == 302
    assert at_the_door["Location"].startswith("/accounts/login/?next=")
    assert sign_in(operator).get("/admin/login/").status_code == 403
