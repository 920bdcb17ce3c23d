"""Uploads, the collector, deletions, openings and entries that meet, each on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from psycopg.errors import ForeignKeyViolation

from accounts.errors import InvalidInput, StateConflict
from devices.models import Device
from scheduling import schedules
from scheduling.catalogue import files, software, store, uploads
from scheduling.models import Blob, Execution, StoredFile, Upload
from scheduling.tests import factories
from scheduling.tests.api.conftest import client_of
from scheduling.tests.catalogue.conftest import Store
from scheduling.tests.test_groups_at_the_same_moment import refusal
from scheduling.tests.test_revoking_at_the_same_moment import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each of them answered, or raised as a refusal."""
    together = threading.Barrier(len(acts))

    def act(one: Callable[[], Any]) -> Any:
        try:
            together.wait(60)
            return one()
        except (StateConflict, InvalidInput) as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def test_bytes_that_come_again_while_they_are_collected_are_there(
    stored: Store, operator: User
) -> None:
    later = timezone.now() + timedelta(hours=2)
    for number in range(15):
        content = f"round {number}".encode()
        files.delete(stored(content), operator)
        again, _gone = at_once(partial(stored, content), lambda: files.collect(later))
        assert store.is_kept(again.blob_id)
        with store.opened(again.blob_id) as source:
            assert source.read() == content
    assert set(StoredFile.objects.values_list("blob", flat=True)) <= set(
        Blob.objects.values_list("pk", flat=True)
    )


def test_what_comes_at_once_passes_nobodys_share(
    stored: Store, operator: User, settings: Any
) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 100
    for _round in range(5):
        at_once(
            *(partial(stored, b"x" * 40, str(number)) for number in range(3)),
            *(partial(uploads.begin, operator, {"name": "y"}, 40) for _number in range(3)),
        )
        assert StoredFile.objects.count() + Upload.objects.count() in (1, 2)
        StoredFile.objects.all().delete()
        Upload.objects.all().delete()


def test_a_file_deleted_as_an_execution_opens_is_held_or_missed_and_never_half(
    stored: Store, operator: User, web_device: Device, web_group: object
) -> None:
    for number in range(6):
        file = stored(f"round {number}".encode())
        name, sha256 = str(file.pk), file.blob_id
        task = factories.by_hand(
            operator,
            devices=[web_device],
            name=f"Round {number}",
            task_type="file_deployment",
            task_payload={"file_ids": [name], "target_path": "/srv/"},
        )
        task.ad_hoc = True
        task.save(update_fields=["ad_hoc"])
        opened, _deleted = at_once(
            partial(schedules.execute, task, operator),
            partial(files.delete, file, operator),
        )
        files.collect(timezone.now() + timedelta(hours=2))
        execution = Execution.objects.get(pk=opened.pk)
        if execution.status == Execution.Status.FAILED:
            assert not execution.runs.exists()
            assert name in execution.error_message
        else:
            assert execution.blobs.get().blob_id == sha256
            assert store.is_kept(sha256)


def test_a_file_that_is_deleted_while_it_is_renamed_is_not_there(
    stored: Store, operator: User
) -> None:
    file, api = stored(), client_of(operator)
    with transaction.atomic():
        file_path = f"/api/files/{file.pk}"
        file.delete()
        thread, answers = meanwhile(lambda: api.patch(file_path, {"name": "issue"}))
    thread.join()
    assert answers[0].status_code == 404


def test_who_adds_a_version_second_is_told_that_it_is_there(admin: User) -> None:
    with transaction.atomic():
        factories.software(admin, name="Editor")
        thread, answers = meanwhile(
            lambda: refusal(lambda: factories.software(admin, name="Editor"))
        )
    thread.join()
    assert answers[0].errors == {"version": ["The catalogue has this version already."]}


def test_a_file_that_is_deleted_meanwhile_is_no_version_that_is_there(
    stored: Store, admin: User
) -> None:
    entry, file = factories.software(admin), stored()
    deb = {"os": "linux", "format": "deb", "file_id": str(file.pk)}
    update = partial(software.update, entry, admin, {"sources": [deb]}, partial=True)
    with transaction.atomic():
        file.delete()
        thread, answers = meanwhile(lambda: refusal(update))
    thread.join()
    assert isinstance(answers[0].__cause__, ForeignKeyViolation)
