"""Every page of the admin, each filter followed, with more than a page of everything."""

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
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)

from accounts.models import IdempotencyKey
from devices.models import Device, DeviceGroup
from scheduling.models import (
    Blob,
    DeviceRun,
    Execution,
    OutputChunk,
    ScheduledTask,
    Software,
    TaskTemplate,
)
from scheduling.tests import factories
from scheduling.tests.administration.conftest import url

ROWS = 120
MOST_QUERIES = 12
MOST_CHOICES = 2


def copies(row: Model, **fresh: Callable[[int], object]) -> None:
    """More than a page of rows like this one, with some fields made anew for each."""
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
        os="system {}".format,
        architecture="processor {}".format,
    )
    copies(DeviceGroup.objects.get(), name="group {}".format)
    task = ScheduledTask.objects.get()
    copies(task, name="task {}".format, periodic_task_id=lambda _number: None)
    execution = Execution.objects.get()
    copies(execution, scheduled_for=lambda _number: None, task_type="kind {}".format)
    copies(Software.objects.get(), name="software {}".format, category="category {}".format)
    copies(TaskTemplate.objects.get(), name="template {}".format, task_type="kind {}".format)
    copies(IdempotencyKey.objects.get(), key="key {}".format, method="{}".format)
    Blob.objects.bulk_create(
        Blob(sha256=f"{number:064x}", size=number, content_type=f"text/x-{number}")
        for number in range(ROWS)
    )
    DeviceRun.objects.bulk_create(
        DeviceRun(execution=execution, task_id=task.pk, device_name=f"gone {number}")
        for number in range(ROWS)
    )
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


def plain(model: type[Model]) -> list[str]:
    """The list, the form for a new row, and the first row's pages."""
    row = model._default_manager.first()
    of_row = [url(model, page, row.pk) for page in ("change", "history")] if row else []
    return [url(model, "changelist"), url(model, "add"), *of_row]


def narrowed(client: Client, model: type[Model]) -> list[str]:
    """The list searched, sorted, and by each filter."""
    changelist = url(model, "changelist")
    shown = seen(client, changelist).context["cl"]
    filters = [
        choice["query_string"]
        for spec in shown.filter_specs
        for choice in list(spec.choices(shown))[1:MOST_CHOICES]
    ]
    return [changelist + query for query in ("?q=task+2", "?o=-1", *filters)]


def choices(page: Any) -> int:
    return len(re.findall(rb"<option|<li", page.content))


@pytest.mark.timeout(600)
def test_no_page_costs_or_offers_more_because_there_are_many_rows(
    office: Client, everything: Model
) -> None:
    models = list(admin.site._registry)
    few = {one: choices(seen(office, one, 403)) for model in models for one in plain(model)}
    many()
    for model in models:
        for address in (*plain(model), *narrowed(office, model)):
            offered = choices(seen(office, address, 403))
            assert offered <= few.get(address, offered), address


def test_every_list_can_be_searched_and_filtered(rf: RequestFactory) -> None:
    dull = {
        model.__name__
        for model, shown in admin.site._registry.items()
        if not shown.get_search_fields(rf.get("/")) or not shown.list_filter
    }
    # There is one installation, and nothing to tell the groups of Django's permissions apart by.
    assert dull == {"Installation", "Group"}


def test_every_list_has_columns_and_no_filter_by_whatever_texts_there_are(
    office: Client, everything: Model
) -> None:
    shown = admin.site._registry
    bare = {one.__name__ for one in shown if tuple(shown[one].list_display) == ("__str__",)}
    assert bare == {"Group"}  # Django's own, of permissions: it has but a name
    unbounded = {
        (model.__name__, one.field_path)
        for model in shown
        for one in office.get(url(model, "changelist")).context["cl"].filter_specs
        if isinstance(one, admin.AllValuesFieldListFilter)
    }
    assert unbounded == {("TaskResult", "status")}  # Celery's own states


def test_devices_and_software_are_found_by_what_no_filter_offers(
    office: Client, everything: Model
) -> None:
    Device.objects.update(os="plan9", architecture="riscv64")
    factories.device("linux-1")
    Software.objects.update(category="editors")

    def found(model: type[Model], query: str) -> list[str]:
        page = office.get(url(model, "changelist") + query)
        return [one.name for one in page.context["cl"].result_list]

    assert found(Device, "?q=plan9") == found(Device, "?q=riscv64") == ["web-1"]
    assert found(Device, "?os=linux") == ["linux-1"]
    assert found(Software, "?q=editors") == ["tool"]
    kinds = office.get(url(Execution, "changelist") + "?task_type=command").context["cl"]
    assert [one.task_type for one in kinds.result_list] == ["command"]
    assert (
        not office.get(f"{url(Execution, 'changelist')}?task_type=file").context["cl"].result_list
    )


def test_schedules_are_found_by_what_they_say_and_by_whether_they_are_used(
    office: Client, db: None
) -> None:
    used, unused = (CrontabSchedule.objects.create(minute=one) for one in ("5", "6"))
    PeriodicTask.objects.create(name="other", task="t", crontab=used)
    every = [IntervalSchedule.objects.create(every=one, period="days") for one in (70, 8)]
    at = [ClockedSchedule.objects.create(clocked_time=f"202{one}-03-01T00:00Z") for one in "67"]

    def found(model: type[Model], query: str) -> list[Model]:
        return list(office.get(url(model, "changelist") + query).context["cl"].result_list)

    assert found(CrontabSchedule, "?in_use=yes") == [used]
    assert found(CrontabSchedule, "?in_use=no") == [unused]
    assert found(IntervalSchedule, "?q=70") == every[:1]
    assert found(ClockedSchedule, "?q=2027-03") == at[1:]


def test_whatever_is_kept_is_shown() -> None:
    unseen = {"auth", "contenttypes", "sessions", "account"}
    bookkeeping = {"django_celery_beat.PeriodicTasks", "django_celery_results.ChordCounter"}
    shown = set(admin.site._registry)
    for one in admin.site._registry.values():
        shown |= {inline.model for inline in one.inlines}
    kept = {model for model in apps.get_models() if model._meta.app_label not in unseen}
    assert {model._meta.label for model in kept - shown} == bookkeeping


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
