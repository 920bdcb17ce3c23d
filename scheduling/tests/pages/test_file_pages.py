from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from devices import keys
from devices.models import Device
from scheduling.models import Execution, ExecutionBlob, ScheduledTask, StoredFile
from scheduling.tests import factories
from scheduling.tests.catalogue.conftest import Store, sha256

pytestmark = pytest.mark.django_db


def deploying(user: User, file: StoredFile, **changes: Any) -> ScheduledTask:
    payload = {"file_ids": [str(file.pk)], "target_path": "/etc/motd"}
    return factories.task(
        user, task_type="file_deployment", task_payload=payload, name="Greeting", **changes
    )


def upload(client: Client, content: bytes = b"hello\n", **fields: str) -> Any:
    part = SimpleUploadedFile("motd", content)
    return client.post("/files/new", {"file": part, "name": "", "description": "", **fields})


def test_the_empty_list_says_what_to_do_first(as_operator: Client) -> None:
    assert "Upload the first file" in as_operator.get("/files/").content.decode()


def test_a_file_is_uploaded_by_the_plain_form(as_operator: Client, operator: User) -> None:
    answer = upload(as_operator, description="For the lobby")
    file = StoredFile.objects.get()
    assert answer["Location"] == file.get_absolute_url()
    assert (file.name, file.description, file.user) == ("motd", "For the lobby", operator)
    assert file.blob.sha256 == sha256(b"hello\n")


def test_a_file_may_be_given_another_name(as_operator: Client) -> None:
    upload(as_operator, name="greeting")
    assert StoredFile.objects.get().name == "greeting"


def test_no_file_is_an_error_beside_its_field(as_operator: Client) -> None:
    answer = as_operator.post("/files/new", {"name": "x", "description": "kept"})
    assert answer.context["form"].errors["file"] == ["Choose a file."]
    assert "kept" in answer.content.decode()


def test_a_file_over_the_quota_is_an_error_beside_its_field(
    as_operator: Client, settings: Any
) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 3
    assert "3 bytes" in str(upload(as_operator).context["form"].errors["file"])
    settings.DEPLOYX_UPLOAD_BYTES = 2
    assert "2 bytes" in str(upload(as_operator).context["form"].errors["file"])
    assert not StoredFile.objects.exists()


def test_the_list_shows_size_type_owner_and_what_uses_it(
    as_operator: Client,
    stored: Store,
    operator: User,
) -> None:
    file = stored(b"#!/bin/sh\n" + b"x" * 2038)
    task = deploying(operator, file, devices=[_usable(operator)])
    page = as_operator.get("/files/").content.decode()
    for words in ("motd", "2.0\xa0KB", "text/x-script", "operator", task.get_absolute_url()):
        assert words in page


def test_the_list_is_searched_and_sorted(as_operator: Client, stored: Store) -> None:
    for name, size in (("b", 3), ("a", 1), ("c", 2)):
        stored(name.encode() * size, name=name)
    for query, expected in [
        ("", "cab"), ("?sort=name", "abc"), ("?sort=largest", "bca"), ("?search=A", "a"),
    ]:  # fmt: skip
        rows = as_operator.get(f"/files/{query}").context["rows"]
        assert "".join(file.name for file, uses in rows) == expected


def test_the_lists_queries_do_not_grow_with_its_files(
    as_operator: Client,
    stored: Store,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(5):
        stored(str(number).encode())
    with django_assert_max_num_queries(9):
        as_operator.get("/files/")


@pytest.mark.parametrize("part", ["", "edit", "delete"])
def test_a_file_is_its_owners_and_administrators(
    as_operator: Client,
    as_admin: Client,
    as_outsider: Client,
    stored: Store,
    part: str,
) -> None:
    address = f"/files/{stored().pk}/{part}"
    assert as_operator.get(address).status_code == 200
    assert as_admin.get(address).status_code == 200
    assert as_outsider.get(address).status_code == 404
    assert as_outsider.post(address).status_code in (404, 405)
    assert StoredFile.objects.count() == 1


def test_the_page_of_a_file_shows_its_digest(as_operator: Client, stored: Store) -> None:
    page = as_operator.get(stored().get_absolute_url()).content.decode()
    assert sha256(b"hello\n") in page


def test_a_file_is_described_anew(as_operator: Client, stored: Store) -> None:
    file = stored()
    as_operator.post(f"/files/{file.pk}/edit", {"name": "issue", "description": "New"})
    file.refresh_from_db()
    assert (file.name, file.description) == ("issue", "New")


def test_a_name_that_is_none_is_an_error_beside_its_field(
    as_operator: Client,
    stored: Store,
) -> None:
    file = stored()
    answer = as_operator.post(f"/files/{file.pk}/edit", {"name": "", "description": ""})
    assert answer.context["form"].errors["name"]
    file.refresh_from_db()
    assert file.name == "motd"


def test_deleting_a_file_asks_and_then_deletes(as_operator: Client, stored: Store) -> None:
    file = stored()
    assert "Delete the file" in as_operator.get(f"/files/{file.pk}/delete").content.decode()
    assert as_operator.post(f"/files/{file.pk}/delete")["Location"] == "/files/"
    assert not StoredFile.objects.exists()


def test_a_file_in_use_says_by_what_and_stays(
    as_operator: Client,
    stored: Store,
    operator: User,
) -> None:
    file = stored()
    deploying(operator, file, devices=[_usable(operator)])
    address = f"/files/{file.pk}/delete"
    assert "the task Greeting" in as_operator.get(address).content.decode()
    assert "In use by" in as_operator.post(address, follow=True).content.decode()
    assert StoredFile.objects.exists()


def test_a_task_of_somebody_else_keeps_a_file_and_its_name_to_itself(
    as_operator: Client, stored: Store, operator: User, admin: User
) -> None:
    file = stored()
    task = deploying(admin, file, devices=[_usable(admin)])
    address = f"/files/{file.pk}/delete"
    answer = as_operator.delete(f"/api/files/{file.pk}")
    assert answer.status_code == 409
    said = [answer.content.decode(), as_operator.get(address).content.decode()]
    said.append(as_operator.post(address, follow=True).content.decode())
    for one in said:
        assert "another person" in one
        assert "Greeting" not in one
    assert StoredFile.objects.exists()
    run = factories.run(factories.execution(task))
    ExecutionBlob.objects.create(execution=run.execution, blob=file.blob)
    ScheduledTask.objects.filter(pk=task.pk).update(task_payload={"file_ids": []})
    assert "under way" not in as_operator.get(address).content.decode()
    Execution.objects.filter(pk=run.execution_id).update(owner=operator)
    assert "1 run under way goes on with it." in as_operator.get(address).content.decode()


def _usable(user: User) -> Device:
    keys.ensure_key()
    device = factories.device()
    factories.group(devices=[device], people=[user])
    return device
