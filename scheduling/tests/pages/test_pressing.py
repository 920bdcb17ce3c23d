"""A form sent twice acts once, and leads both times to what came of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client

from accounts import once
from accounts.models import ApiToken, IdempotencyKey
from devices.models import Device, DeviceGroup
from scheduling import schedules
from scheduling.models import Execution, ScheduledTask, StoredFile
from scheduling.tests import factories

pytestmark = pytest.mark.django_db
Fields = dict[str, Any]


def shown(client: Client, page: str, action: str) -> Fields:
    """The hidden fields of the form there that leads to `action`."""
    content = client.get(page).content.decode()
    form = re.search(rf'<form [^>]*action="{re.escape(action)}".*?</form>', content, re.S)
    found = re.findall(
        r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0] if form else ""
    )
    assert "once" in dict(found)
    return {name: [value for one, value in found if one == name] for name, _value in found}


def of_page(client: Client, page: str) -> Fields:
    """The same of a page with a form of its own, which leads to the page itself."""
    keys = re.findall(r'name="once" value="([^"]+)"', client.get(page).content.decode())
    return {"once": keys[-1]}


def said(answer: Any) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def test_execute_now_pressed_twice_starts_once(as_operator: Client, task: ScheduledTask) -> None:
    address = f"/tasks/{task.pk}/execute"
    form = shown(as_operator, task.get_absolute_url(), address)
    first, second = [as_operator.post(address, form) for _press in range(2)]
    execution = task.executions.get()
    assert first["Location"] == second["Location"] == execution.get_absolute_url()
    assert said(second)[-1] == "It was sent more than once, and done once."


@pytest.fixture
def at_once(as_operator: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Presses twice at once; answers where that leads."""
    monkeypatch.setattr(once, "WAIT_SECONDS", 60.0)

    def pressed(address: str, form: Callable[[], Fields]) -> set[str]:
        together = threading.Barrier(2)

        def press(_number: int) -> str:
            client = Client()
            client.cookies = as_operator.cookies
            together.wait(60)
            try:
                return str(client.post(address, form())["Location"])
            finally:
                connections.close_all()

        with ThreadPoolExecutor(2) as threads:
            return set(threads.map(press, range(2)))

    return pressed


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_start_once(
    as_operator: Client, task: ScheduledTask, at_once: Any
) -> None:
    address = f"/tasks/{task.pk}/execute"
    form = shown(as_operator, "/tasks/", address)
    assert at_once(address, lambda: form) == {task.executions.get().get_absolute_url()}


def uploading(form: Fields, content: bytes = b"hello") -> Fields:
    return {**form, "name": "", "description": "", "file": SimpleUploadedFile("motd", content)}


@pytest.mark.django_db(transaction=True)
def test_two_uploads_of_one_form_at_once_store_one_file(as_operator: Client, at_once: Any) -> None:
    form = of_page(as_operator, "/files/new")
    led = at_once("/files/new", lambda: uploading(form))
    assert led == {StoredFile.objects.get().get_absolute_url()}


def test_an_upload_sent_again_is_stored_once_and_another_content_as_well(
    as_operator: Client, settings: Any
) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 5
    form = of_page(as_operator, "/files/new")
    led = {as_operator.post("/files/new", uploading(form))["Location"] for _press in range(2)}
    assert led == {StoredFile.objects.get().get_absolute_url()}
    settings.DEPLOYX_FILES_QUOTA_BYTES = 10
    as_operator.post("/files/new", uploading(form, b"howdy"))
    assert StoredFile.objects.count() == 2


@pytest.mark.parametrize("turns", [[False], [True, False, True]], ids=["before", "after its bytes"])
def test_an_upload_that_waits_too_long_is_told_so_and_may_be_sent_again(
    as_operator: Client, monkeypatch: pytest.MonkeyPatch, turns: list[bool]
) -> None:
    form = of_page(as_operator, "/files/new")
    with monkeypatch.context() as busy:
        busy.setattr(once, "WAIT_SECONDS", 0.0)
        busy.setattr(once.Once, "_is_mine", lambda one: turns.pop(0))
        answer = as_operator.post("/files/new", uploading(form))
    assert answer["Location"] == "/files/new"
    assert said(answer) == ["It was sent before, and that is still under way."]
    led = as_operator.post("/files/new", uploading(form))["Location"]
    assert led == StoredFile.objects.get().get_absolute_url()


def test_an_upload_that_was_refused_may_be_sent_again(as_operator: Client, settings: Any) -> None:
    form = of_page(as_operator, "/files/new")
    settings.DEPLOYX_FILES_QUOTA_BYTES = 4
    assert as_operator.post("/files/new", uploading(form)).status_code == 200
    settings.DEPLOYX_FILES_QUOTA_BYTES = 5
    assert as_operator.post("/files/new", uploading(form)).status_code == 302


def test_who_waits_too_long_is_told_so_and_starts_nothing(
    as_operator: Client, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(once.Once, "_is_mine", lambda one: False)
    answer = as_operator.post(f"/tasks/{task.pk}/execute", {"once": "a"})
    assert answer["Location"] == task.get_absolute_url()
    assert said(answer) == ["It was sent before, and that is still under way."]
    assert not task.executions.exists()


def test_a_press_on_a_page_shown_anew_is_meant_anew(
    as_operator: Client, task: ScheduledTask
) -> None:
    address = f"/tasks/{task.pk}/execute"
    for _press in range(2):
        form = shown(as_operator, task.get_absolute_url(), address)
        as_operator.post(address, form)
    assert task.executions.count() == 2


def test_what_was_refused_may_be_sent_again(
    as_operator: Client, operator: User, web_group: DeviceGroup, task: ScheduledTask
) -> None:
    address = f"/tasks/{task.pk}/execute"
    form = shown(as_operator, task.get_absolute_url(), address)
    web_group.people.remove(operator)
    as_operator.post(address, form)
    assert not task.executions.exists()
    web_group.people.add(operator)
    assert as_operator.post(address, form)["Location"] == task.executions.get().get_absolute_url()


def test_a_key_is_one_persons(as_operator: Client, as_admin: Client, task: ScheduledTask) -> None:
    for client in (as_operator, as_admin):
        client.post(f"/tasks/{task.pk}/execute", {"once": "guessed"})
    assert task.executions.count() == 2


def test_a_command_sent_twice_runs_once_and_another_one_runs_as_well(
    as_operator: Client, daily_df: Fields
) -> None:
    form = daily_df | of_page(as_operator, "/commands/") | {"execute_now": "1"}
    led = {as_operator.post("/commands/", form)["Location"] for _press in range(2)}
    assert led == {Execution.objects.get().get_absolute_url()}
    as_operator.post("/commands/", form | {"command-commands": ["df -i"]})
    assert Execution.objects.count() == 2


def test_a_form_in_a_dialog_is_led_by_its_script_both_times(
    as_operator: Client, daily_df: Fields
) -> None:
    typed = {"name": "Disk space", "time_zone": "UTC", "schedule": "1"}
    form = daily_df | of_page(as_operator, "/tasks/new") | typed
    script: Any = {"HX-Request": "true", "HX-Target": "task-form"}
    answers = [as_operator.post("/tasks/new", form, headers=script) for _press in range(2)]
    task = ScheduledTask.objects.get()
    assert [one["HX-Redirect"] for one in answers] == [task.get_absolute_url()] * 2


def test_a_retry_pressed_twice_retries_once(
    as_operator: Client, task: ScheduledTask, web_device: Device
) -> None:
    execution = factories.execution(task)
    factories.run(execution, web_device, status="failed")
    Execution.objects.move("failed", completed_at=execution.created_at)
    address = f"/executions/{execution.pk}/retry"
    form = shown(as_operator, execution.get_absolute_url(), address)
    led = {as_operator.post(address, form)["Location"] for _press in range(2)}
    assert led == {Execution.objects.exclude(pk=execution.pk).get().get_absolute_url()}


def test_no_wave_more_is_let_go_by_a_second_press(
    as_admin: Client, task: ScheduledTask, sent: list[Any]
) -> None:
    execution = factories.execution(task, open_wave=1)
    for wave, status in enumerate(("running", "pending", "pending"), start=1):
        factories.run(execution, status=status, wave=wave)
    address = f"/executions/{execution.pk}/promote"
    form = shown(as_admin, execution.get_absolute_url(), address)
    told = [said(as_admin.post(address, form)) for _press in range(2)]
    assert told[0] == ["The next wave may go."]
    execution.refresh_from_db()
    assert execution.open_wave == 2


def test_a_delete_pressed_twice_leads_to_the_list_twice(
    as_operator: Client, task: ScheduledTask
) -> None:
    address = f"/tasks/{task.pk}/delete"
    form = of_page(as_operator, address)
    led = [as_operator.post(address, form)["Location"] for _press in range(2)]
    assert led == ["/tasks/", "/tasks/"]


def test_what_somebody_else_deletes_meanwhile_is_told(
    as_operator: Client, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = schedules.delete

    def late(task: ScheduledTask, user: User) -> None:
        ScheduledTask.objects.filter(pk=task.pk).delete()
        delete(task, user)

    monkeypatch.setattr(schedules, "delete", late)
    answer = as_operator.post(f"/tasks/{task.pk}/delete")
    assert answer["Location"] == "/tasks/"
    assert said(answer) == ["Somebody has deleted it."]


def test_a_token_is_issued_once_and_its_key_is_kept_nowhere(
    as_operator: Client, operator: User
) -> None:
    form = {"name": "laptop"} | of_page(as_operator, "/settings/tokens/")
    first = as_operator.post("/settings/tokens/", form)
    assert first.status_code == 200
    again = as_operator.post("/settings/tokens/", form)
    assert again["Location"] == "/settings/tokens/"
    assert ApiToken.objects.filter(user=operator).count() == 1
    assert IdempotencyKey.objects.get().response_body == {"leads_to": "/settings/tokens/"}


def test_an_enrolment_token_is_issued_once(as_admin: Client, web_group: DeviceGroup) -> None:
    form = {"name": "kiosks", "uses_limit": "1", "expires_at": "1d"}
    form |= of_page(as_admin, "/devices/new")
    answers = [as_admin.post("/devices/new", form) for _press in range(2)]
    assert [one.status_code for one in answers] == [200, 302]
    assert answers[1]["Location"] == "/devices/new"
