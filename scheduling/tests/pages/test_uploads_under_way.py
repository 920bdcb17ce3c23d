"""What a person has begun to upload shows above their files, and can be given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from scheduling.catalogue import store, uploads
from scheduling.models import StoredFile, Upload
from scheduling.tests.catalogue.conftest import Store

pytestmark = pytest.mark.django_db


@pytest.fixture
def upload(operator: User) -> Upload:
    """A quarter of a file of 4,096 bytes."""
    begun = uploads.begin(operator, {"name": "big.iso"}, 4096)
    return uploads.append(begun, 0, iter([b"x" * 1024]), 1024)


def shown(client: Client) -> str:
    """The card alone, as its script asks for it."""
    headers: Any = {"HX-Request": "true", "HX-Target": "uploads"}
    return client.get("/files/", headers=headers).content.decode()


def cancel(upload: Upload) -> str:
    return f"/files/uploads/{upload.pk}/cancel"


def test_it_says_how_far_each_is_and_how_to_go_on(
    as_operator: Client, upload: Upload, stored: Store, django_assert_max_num_queries: Any
) -> None:
    stored()
    now = timezone.now()
    kept_until = now + timedelta(hours=22, minutes=5)
    begun = now - timedelta(hours=3, minutes=5)
    Upload.objects.update(created_at=begun, expires_at=kept_until)
    with django_assert_max_num_queries(10):
        page = as_operator.get("/files/").content.decode()
    assert shown(as_operator) in page
    said = ["big.iso", 'max="100" value="25"', "1.0\xa0KB of 4.0\xa0KB", cancel(upload)]
    said += ["3\xa0hours ago", "1\xa0hour ago", f"{kept_until:%H:%M} UTC", "same file again"]
    assert [one for one in said if one not in page] == []


def test_one_whose_bytes_are_still_to_come_has_no_last_piece(
    as_operator: Client, operator: User
) -> None:
    for size in (10, 0):
        now = timezone.now()
        Upload.objects.create(user=operator, name="a", size=size, expires_at=now + uploads.LIFE)
    assert shown(as_operator).count("none yet") == 2


def test_nobody_else_sees_it_or_cancels_it(
    as_outsider: Client, as_admin: Client, upload: Upload
) -> None:
    for client in (as_outsider, as_admin):
        assert "big.iso" not in client.get("/files/").content.decode()
        assert " hidden" in shown(client)
        assert client.get(cancel(upload)).status_code == 404
        assert client.post(cancel(upload)).status_code == 404
    assert Upload.objects.exists()


def test_what_is_complete_or_abandoned_is_not_under_way(
    as_operator: Client, upload: Upload
) -> None:
    assert "big.iso" in shown(as_operator)
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "big.iso" not in shown(as_operator)
    uploads.append(upload, 1024, iter([b"x" * 3072]), 3072)
    assert "big.iso" not in shown(as_operator)


def test_it_is_given_up_once_asked_and_its_draft_is_gone(
    as_operator: Client, upload: Upload
) -> None:
    draft = store.draft(f"{upload.pk}.part")
    asked = as_operator.get(cancel(upload)).content.decode()
    assert "1.0\xa0KB of 4.0\xa0KB are here and are thrown away" in asked
    assert draft.exists()
    answer = as_operator.post(cancel(upload), follow=True)
    assert answer.redirect_chain == [("/files/", 302)]
    assert "The upload of “big.iso” is cancelled." in answer.content.decode()
    assert not Upload.objects.exists()
    assert not draft.exists()


def test_one_that_is_gone_says_so(as_operator: Client, upload: Upload) -> None:
    address = cancel(upload)
    uploads.cancel(upload)
    for ask in (as_operator.get, as_operator.post):
        answer: Any = ask(address)
        assert answer.status_code == 404
        assert "It is not there any more" in answer.content.decode()


def test_one_that_is_complete_stays_a_file(as_operator: Client, upload: Upload) -> None:
    uploads.append(upload, 1024, iter([b"x" * 3072]), 3072)
    file = StoredFile.objects.get()
    said = as_operator.post(cancel(upload), follow=True).content.decode()
    assert "The upload is complete." in said
    assert as_operator.get(cancel(upload))["Location"] == file.get_absolute_url()
    assert StoredFile.objects.get() == file
    assert store.is_kept(file.blob_id)
