"""What a form is about, or names, is deleted while it is being saved: a page says so, never a 500."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.models import IdempotencyKey
from accounts.vanishing import Vanishing
from devices.models import DeviceGroup, EnrollmentToken
from scheduling import templates
from scheduling.models import ScheduledTask, TaskDependency
from scheduling.tests import factories
from scheduling.tests.api.test_deleted_at_the_same_moment import while_deleted
from scheduling.tests.pages.sending import sent

pytestmark = pytest.mark.django_db(transaction=True)
GONE = "Somebody has deleted it. Nothing was saved."


def away(row: Model) -> Callable[[], object]:
    return type(row)._default_manager.filter(pk=row.pk).delete


def says_so(answer: Any, status: int = 404) -> None:
    page = answer.content.decode()
    assert (answer.status_code, "Deleted meanwhile" in page) == (status, True)
    assert "Nothing was saved." in page
    assert 'href="/">To the overview' in page
    assert not IdempotencyKey.objects.exists()


def a_task(admin: User) -> tuple[Model, str]:
    task = factories.task(admin)
    return task, f"/tasks/{task.pk}/edit"


def a_device(_admin: User) -> tuple[Model, str]:
    device = factories.device()
    return device, f"/devices/{device.pk}/edit"


def a_group(_admin: User) -> tuple[Model, str]:
    group = factories.group()
    return group, f"/groups/{group.pk}/edit"


def an_entry(admin: User) -> tuple[Model, str]:
    entry = factories.software(admin)
    return entry, f"/software/{entry.pk}/edit"


def a_template(admin: User) -> tuple[Model, str]:
    template = templates.create(admin, {"name": "Disk", "task_type": "command"})
    return template, template.get_absolute_url()


@pytest.mark.parametrize("make", [a_task, a_device, a_group, an_entry, a_template])
def test_what_a_form_changes(as_admin: Client, admin: User, make: Any) -> None:
    row, address = make(admin)
    form = sent(as_admin.get(address)) | {"description": ["changed"]}
    answer = while_deleted(away(row), lambda: as_admin.post(address, form))
    says_so(answer)
    assert GONE in answer.content.decode()


def test_what_a_new_task_is_to_follow_and_the_form_is_sent_again_without_it(
    as_operator: Client, task: ScheduledTask, daily_df: dict[str, Any]
) -> None:
    form = daily_df | sent(as_operator.get("/tasks/new")) | daily_df | {"name": "Report"}
    chosen = form | {"depends_on": str(task.pk), f"depends_on-{task.pk}": "success"}
    answer = while_deleted(away(task), lambda: as_operator.post("/tasks/new", chosen))
    says_so(answer, 409)
    assert not ScheduledTask.objects.exists()
    assert as_operator.post("/tasks/new", form).status_code == 302
    assert not TaskDependency.objects.exists()


def test_a_script_hears_the_same_status(as_operator: Client, task: ScheduledTask) -> None:
    address = f"/tasks/{task.pk}/edit"
    form = sent(as_operator.get(address))
    script = {"HX-Request": "true", "HX-Target": "task-form"}
    answer = while_deleted(away(task), lambda: as_operator.post(address, form, headers=script))
    says_so(answer)


def test_a_group_that_a_token_lets_into(as_admin: Client, web_group: DeviceGroup) -> None:
    form = sent(as_admin.get("/devices/new")) | {"group": [str(web_group.pk)]}
    says_so(while_deleted(away(web_group), lambda: as_admin.post("/devices/new", form)), 409)
    assert not EnrollmentToken.objects.exists()


def test_an_account_that_many_tasks_are_handed_to_keeps_none_from_the_list(
    as_admin: Client, admin: User
) -> None:
    tasks = [factories.task(admin, name=name) for name in ("One", "Two")]
    heir = factories.person("heir")
    form = {"task": [str(one.pk) for one in tasks], "shown": "1", "confirmed": "1", "owner": "heir"}
    answer = while_deleted(away(heir), lambda: as_admin.post("/tasks/bulk/edit", form))
    assert answer["Location"] == "/tasks/"
    said = [str(one) for one in get_messages(answer.wsgi_request)]
    assert [one.partition(":")[0] for one in said] == ["One", "Two"]


def test_the_administration_says_it_on_its_list(as_admin: Client, task: ScheduledTask) -> None:
    listed = "/admin/scheduling/scheduledtask/"
    press = partial(as_admin.post, f"{listed}{task.pk}/delete/", {"post": "yes"})
    answer = while_deleted(away(task), press)
    assert answer["Location"] == listed
    said = [str(one) for one in get_messages(answer.wsgi_request)]
    assert said == ["Somebody has deleted it."]
    assert not LogEntry.objects.exists()


def answered(method: str, path: str, error: Exception) -> HttpResponse | None:
    request = RequestFactory().generic(method, path)
    return Vanishing(lambda _request: HttpResponse()).process_exception(request, error)


def test_only_forms_of_pages_are_answered_so() -> None:
    missing = ScheduledTask.DoesNotExist()
    assert answered("POST", "/tasks/new", missing) is not None
    assert answered("GET", "/tasks/new", missing) is None
    assert answered("POST", "/api/schedule/tasks", missing) is None
    assert answered("POST", "/tasks/new", LookupError()) is None
