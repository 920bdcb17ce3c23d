"""Every page of the admin, each filter followed, with a few hundred rows of everything."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, PeriodicTask

from devices.models import Device, DeviceGroup
from scheduling.models import DeviceRun, Execution, OutputChunk, ScheduledTask
from scheduling.tests.administration.conftest import url

ROWS = 300
MOST_QUERIES = 12
MOST_CHOICES = 5

each_model = pytest.mark.parametrize(
    "model", list(admin.site._registry), ids=lambda model: model._meta.label
)


def copies(row: Model, **fresh: Callable[[int], object]) -> None:
    """Several hundred rows like this one, with some fields made anew for each."""
    names = [one.attname for one in row._meta.concrete_fields if not one.primary_key]
    same = {name: getattr(row, name) for name in names}
    type(row)._default_manager.bulk_create(
        type(row)(**{**same, **{name: make(number) for name, make in fresh.items()}})
        for number in range(ROWS)
    )


def many() -> None:
    copies(User.objects.get(username="admin"), username="person {}".format)
    copies(
        Device.objects.all()[:1].get(),
        name="device {}".format,
        public_key=lambda _number: secrets.token_bytes(32),
        session=lambda _number: uuid.uuid4(),
    )
    copies(DeviceGroup.objects.get(), name="group {}".format)
    task = ScheduledTask.objects.get()
    copies(task, name="task {}".format, periodic_task_id=lambda _number: None)
    execution, run = Execution.objects.get(), DeviceRun.objects.get()
    copies(execution, scheduled_for=lambda _number: None)
    copies(run, attempt=lambda number: number + 2, device_id=lambda _number: None)
    copies(OutputChunk.objects.get(), offset=lambda number: (number + 1) * 6)
    now = execution.created_at
    ClockedSchedule.objects.bulk_create(ClockedSchedule(clocked_time=now) for _ in range(ROWS))
    CrontabSchedule.objects.bulk_create(CrontabSchedule(minute=one % 60) for one in range(ROWS))
    PeriodicTask.objects.bulk_create(
        PeriodicTask(name=f"other {one}", task="t", crontab=CrontabSchedule.objects.all()[0])
        for one in range(ROWS)
    )


def seen(client: Client, address: str, *allowed: int) -> Any:
    """The page, which cost little."""
    with CaptureQueriesContext(connection) as queries:
        page = client.get(address)
    assert page.status_code in (200, *allowed), address
    asked = [one["sql"] for one in queries.captured_queries if "SAVEPOINT" not in one["sql"]]
    assert len(asked) <= MOST_QUERIES, (address, asked)
    return page


def addresses(client: Client, model: type[Model]) -> list[str]:
    """The list, searched, sorted and by every filter; the form for a new row, and the first row's."""
    changelist = url(model, "changelist")
    page = seen(client, changelist)
    found = [changelist, f"{changelist}?q=task+2", f"{changelist}?o=-1", url(model, "add")]
    for spec in page.context["cl"].filter_specs:
        choices = list(spec.choices(page.context["cl"]))[:MOST_CHOICES]
        found += [changelist + choice["query_string"] for choice in choices]
    row = model._default_manager.first()
    if row is not None:
        found += [url(model, page, row.pk) for page in ("change", "history")]
    return found


@each_model
def test_every_page_is_cheap_with_many_rows(
    office: Client, everything: Model, model: type[Model]
) -> None:
    many()
    for address in addresses(office, model):
        seen(office, address, 403)


@each_model
def test_no_page_offers_more_choices_because_there_are_more_rows(
    office: Client, everything: Model, model: type[Model]
) -> None:
    def choices() -> dict[str, int]:
        pages = {one: seen(office, one, 403).content for one in addresses(office, model)}
        return {one: len(re.findall(rb"<option|<li", page)) for one, page in pages.items()}

    before = choices()
    many()
    after = choices()
    assert {one: number for one, number in after.items() if number > before.get(one, number)} == {}


def test_every_list_can_be_searched_or_filtered() -> None:
    dull = [
        model.__name__
        for model, shown in admin.site._registry.items()
        if not shown.search_fields and not shown.list_filter
    ]
    assert dull == ["Installation"]  # there is one row of it


def test_whatever_is_kept_is_shown() -> None:
    unseen = {"auth", "contenttypes", "sessions", "account"}
    shown = set(admin.site._registry)
    for one in admin.site._registry.values():
        shown |= {inline.model for inline in one.inlines}
    kept = {model for model in apps.get_models() if model._meta.app_label not in unseen}
    assert {model._meta.label for model in kept - shown} == set()


def test_the_plan_of_a_task_is_changed_by_the_task_alone(
    office: Client, everything: ScheduledTask
) -> None:
    mirror = everything.periodic_task
    assert mirror is not None
    address = url(PeriodicTask, "change", mirror.pk)
    assert str(everything.pk) in office.get(address).content.decode()
    assert office.post(address, {"enabled": ""}).status_code == 403
    assert office.post(url(PeriodicTask, "delete", mirror.pk), {"post": "yes"}).status_code == 403


def test_a_periodic_task_of_another_app_is_made_here(office: Client, everything: Model) -> None:
    crontab = CrontabSchedule.objects.create(minute="5")
    given = {"name": "other", "task": "other.task", "crontab": crontab.pk, "enabled": "on"}
    office.post(url(PeriodicTask, "add"), {**given, "args": "[]", "kwargs": "{}"})
    assert PeriodicTask.objects.get(name="other").crontab == crontab
