"""Uploads in pieces, by the verbs and by tus over HTTP."""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.errors import InvalidInput, StateConflict, Unavailable
from scheduling.catalogue import files, store, uploads
from scheduling.models import StoredFile, Upload
from scheduling.tests.catalogue.conftest import sha256

pytestmark = pytest.mark.django_db
TUS: dict[str, Any] = {"HTTP_TUS_RESUMABLE": "1.0.0"}
PIECE = "application/offset+octet-stream"


def content_of(file: StoredFile | None) -> bytes:
    assert file is not None
    with store.opened(file.blob.sha256) as source:
        return source.read()


def test_cut_anywhere_it_goes_on_where_it_was(operator: User) -> None:
    content = os.urandom(100_000)
    upload = uploads.begin(operator, {"name": "big.bin"}, len(content))
    dice = random.Random(7)

    def cut(piece: bytes) -> Iterator[bytes]:
        yield piece[: dice.randrange(len(piece))]
        raise OSError("the connection was cut")

    while upload.file_id is None:
        piece = content[upload.received : upload.received + dice.randrange(1, 20_000)]
        if dice.random() < 0.4:
            with pytest.raises(OSError, match="cut"):
                uploads.append(upload, upload.received, cut(piece), len(piece))
        else:
            upload = uploads.append(upload, upload.received, iter([piece]), len(piece))
    assert content_of(upload.file) == content


def test_a_piece_elsewhere_than_at_the_end_changes_nothing(operator: User) -> None:
    upload = uploads.begin(operator, {"name": "a"}, 10)
    upload = uploads.append(upload, 0, iter([b"1234"]), 4)
    for offset in (0, 3, 5):
        with pytest.raises(uploads.Misplaced) as refused:
            uploads.append(upload, offset, iter([b"xx"]), 2)
        assert refused.value.received == 4
    with pytest.raises(InvalidInput, match="10 bytes"):
        uploads.append(upload, 4, iter([b"1234567"]), 7)
    upload = uploads.append(upload, 4, iter([b"567890"]), 6)
    assert content_of(upload.file) == b"1234567890"
    with pytest.raises(StateConflict, match="complete"):
        uploads.append(upload, 10, iter([b""]), 0)


def test_where_its_draft_is_lost_an_upload_begins_again(operator: User) -> None:
    upload = uploads.begin(operator, {"name": "a"}, 10)
    upload = uploads.append(upload, 0, iter([b"1234"]), 4)
    store.draft(f"{upload.pk}.part").unlink()
    with pytest.raises(uploads.Misplaced) as told:
        uploads.append(upload, 4, iter([b"567890"]), 6)
    assert told.value.received == 0
    upload = uploads.append(upload, 0, iter([b"1234567890"]), 10)
    assert content_of(upload.file) == b"1234567890"


def test_a_complete_upload_whose_draft_is_lost_makes_no_other_file(operator: User) -> None:
    upload = uploads.begin(operator, {"name": "a"}, 10)
    Upload.objects.filter(pk=upload.pk).update(received=10)
    upload = uploads.finish(upload)
    assert (upload.file, upload.received) == (None, 0)
    assert not StoredFile.objects.exists()


def test_an_empty_file_is_complete_at_once(operator: User) -> None:
    assert content_of(uploads.begin(operator, {"name": "empty"}, 0).file) == b""


def test_what_was_left_lying_is_forgotten(operator: User, files_dir: Path) -> None:
    upload = uploads.begin(operator, {"name": "a"}, 10)
    uploads.append(upload, 0, iter([b"1234"]), 4)
    now = timezone.now()
    assert uploads.forget(now) == 0
    assert uploads.forget(now + timedelta(days=2)) == 1
    assert not Upload.objects.exists()
    assert not list((files_dir / "drafts").iterdir())


def test_nobody_has_too_many_open(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_OPEN", 1)
    uploads.begin(operator, {"name": "a"}, 10)
    with pytest.raises(InvalidInput, match="At most 1 uploads"):
        uploads.begin(operator, {"name": "b"}, 10)


def test_uploads_under_way_take_from_the_share(
    operator: User, outsider: User, settings: Any
) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 10
    upload = uploads.begin(operator, {"name": "a"}, 8)
    for act in (uploads.begin, create):
        with pytest.raises(InvalidInput, match="2 bytes more"):
            act(operator, {"name": "b"}, 3)
    uploads.begin(outsider, {"name": "c"}, 10)
    upload = uploads.append(upload, 0, iter([b"12345678"]), 8)
    assert content_of(upload.file) == b"12345678"
    create(operator, {"name": "d"}, 2)
    with pytest.raises(InvalidInput, match="0 bytes more"):
        uploads.begin(operator, {"name": "e"}, 1)


def test_what_was_left_lying_takes_from_nobodys_share(operator: User, settings: Any) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 10
    upload = uploads.begin(operator, {"name": "a"}, 8)
    uploads.append(upload, 0, iter([b"1234"]), 4)
    Upload.objects.update(expires_at=timezone.now())
    create(operator, {"name": "b"}, 3)
    with pytest.raises(InvalidInput, match="7 bytes more"):
        uploads.append(upload, 4, iter([b"5678"]), 4)
    StoredFile.objects.all().delete()
    upload = uploads.append(upload, 8, iter(()), 0)
    assert content_of(upload.file) == b"12345678"


def test_the_disk_has_room_for_all_that_is_on_its_way(
    operator: User, outsider: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda: 100)
    settings.DEPLOYX_FILES_FREE_BYTES = 50
    upload = uploads.begin(operator, {"name": "a"}, 30)
    uploads.append(upload, 0, iter([b"1234"]), 4)
    with pytest.raises(InvalidInput, match="no room"):
        uploads.begin(outsider, {"name": "b"}, 25)
    uploads.begin(outsider, {"name": "b"}, 24)
    monkeypatch.setattr(store, "free_bytes", lambda: 53)
    with pytest.raises(Unavailable, match="no room"):
        uploads.append(upload, 4, iter([b"5678"]), 4)
    uploads.append(upload, 4, iter([b"567"]), 3)


def create(user: User, data: dict[str, str], size: int) -> StoredFile:
    return files.create(user, data, iter([b"x" * size]), size)


@pytest.fixture
def api(operator: User) -> APIClient:
    return client_of(operator)


def client_of(user: User) -> APIClient:
    client = APIClient()
    _row, key = tokens.issue(user, "test", ())
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def begin(api: APIClient, size: int, *, key: str = "", **metadata: str) -> Any:
    pairs = {"filename": "big.bin", **metadata}
    text = ",".join(f"{n} {base64.b64encode(v.encode()).decode()}" for n, v in pairs.items())
    headers = {**TUS, "HTTP_UPLOAD_LENGTH": str(size), "HTTP_UPLOAD_METADATA": text}
    headers |= {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    return api.post("/api/files/uploads", **headers)


def piece(api: APIClient, url: str, offset: int, content: bytes) -> Any:
    length = str(len(content))
    headers: dict[str, Any] = {"HTTP_UPLOAD_OFFSET": str(offset), "CONTENT_LENGTH": length, **TUS}
    body: Any = content
    return api.generic("PATCH", url, body, content_type=PIECE, **headers)


def test_a_client_of_tus_uploads_a_file(api: APIClient) -> None:
    assert api.options("/api/files/uploads")["Tus-Extension"] == "creation,termination,expiration"
    begun = begin(api, 10, description="a probe")
    assert begun.status_code == 201
    url = begun["Location"]
    assert piece(api, url, 0, b"12345")["Upload-Offset"] == "5"
    state = api.head(url, **TUS)
    assert (state["Upload-Offset"], state["Upload-Length"]) == ("5", "10")
    last = piece(api, url, 5, b"67890")
    assert last.status_code == 204
    file = api.get(f"/api/files/{last['X-DeployX-File']}").json()
    assert (file["name"], file["size"], file["description"]) == ("big.bin", 10, "a probe")
    assert file["sha256"] == sha256(b"1234567890")


def test_an_empty_piece_at_the_end_makes_the_file_that_failed(
    api: APIClient, files_dir: Path
) -> None:
    url = begin(api, 10)["Location"]
    (files_dir / "blobs").write_text("in the way")
    assert piece(api, url, 0, b"1234567890").status_code == 503
    stands = api.head(url, **TUS)
    assert (stands["Upload-Offset"], stands.get("X-DeployX-File")) == ("10", None)
    assert piece(api, url, 10, b"").status_code == 503
    (files_dir / "blobs").unlink()
    last = piece(api, url, 10, b"")
    assert last.status_code == 204
    file = StoredFile.objects.get(pk=last["X-DeployX-File"])
    assert content_of(file) == b"1234567890"


def test_an_empty_piece_before_the_end_adds_nothing(api: APIClient) -> None:
    url = begin(api, 10)["Location"]
    piece(api, url, 0, b"12345")
    still = piece(api, url, 5, b"")
    assert (still.status_code, still["Upload-Offset"]) == (204, "5")
    assert "X-DeployX-File" not in still


def test_what_does_not_fit_is_answered_as_tus_says(api: APIClient) -> None:
    url = begin(api, 10)["Location"]
    wrong = piece(api, url, 3, b"x")
    assert (wrong.status_code, wrong["Upload-Offset"]) == (409, "0")
    assert begin(api, 2**40).status_code == 413
    too_long = piece(api, url, 0, b"x" * (uploads.PIECE_BYTES + 1))
    assert too_long.status_code == 413
    assert api.delete(url, **TUS).status_code == 204
    assert api.head(url, **TUS).status_code == 404


@pytest.mark.parametrize("version", [{}, {"HTTP_TUS_RESUMABLE": "0.2.2"}], ids=str)
def test_another_version_of_tus_is_told_which_there_is(
    api: APIClient, version: dict[str, Any]
) -> None:
    answer = api.post("/api/files/uploads", HTTP_UPLOAD_LENGTH="1", **version)
    assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "metadata", ["filename ümlaut", "filename \xff", "filename #", "filename /w==", "ä YQ=="]
)
def test_odd_metadata_is_refused_by_name(api: APIClient, metadata: str) -> None:
    answer = api.post(
        "/api/files/uploads", HTTP_UPLOAD_LENGTH="1", HTTP_UPLOAD_METADATA=metadata, **TUS
    )
    assert answer.status_code == 400
    assert list(answer.json()) in (["Upload-Metadata"], ["name"])


def test_another_persons_upload_is_not_there(api: APIClient, outsider: User) -> None:
    url = begin(api, 10)["Location"]
    other = client_of(outsider)
    assert other.head(url, **TUS).status_code == 404
    assert piece(other, url, 0, b"x").status_code == 404
    assert other.delete(url, **TUS).status_code == 404


def test_a_small_file_comes_as_a_form(api: APIClient, outsider: User) -> None:
    part = SimpleUploadedFile("motd", b"hello\n")
    made = api.post("/api/files", {"file": part, "description": "x"}, format="multipart")
    assert made.status_code == 201, made.content
    assert api.post("/api/files", {"name": "x"}, format="multipart").json()["file"]
    assert [one["name"] for one in api.get("/api/files").json()["results"]] == ["motd"]
    url = f"/api/files/{made.json()['id']}"
    assert client_of(outsider).get(url).status_code == 404
    assert client_of(outsider).delete(url).status_code == 404
    assert api.patch(url, {"name": "issue"}, format="json").json()["name"] == "issue"
    assert api.delete(url).status_code == 204


def test_a_form_sent_again_under_its_key_stores_one_file(api: APIClient, settings: Any) -> None:
    settings.DEPLOYX_FILES_QUOTA_BYTES = 8

    def send(content: bytes, **fields: str) -> Any:
        given = {"file": SimpleUploadedFile("motd", content), **fields}
        return api.post("/api/files", given, format="multipart", HTTP_IDEMPOTENCY_KEY="one")

    first, again = send(b"hello\n"), send(b"hello\n")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert send(b"hallo\n").status_code == 409
    assert send(b"hello\n", description="x").status_code == 409
    assert StoredFile.objects.count() == 1


@pytest.mark.parametrize("size", [0, 10])
def test_an_upload_begun_again_under_its_key_is_the_same(api: APIClient, size: int) -> None:
    first, again = begin(api, size, key="one"), begin(api, size, key="one")
    assert (first.status_code, again.status_code) == (201, 201)
    for name in ("Location", "Upload-Offset", "Upload-Expires", "X-DeployX-File"):
        assert first.get(name) == again.get(name)
    assert begin(api, size + 1, key="one").status_code == 409
    assert begin(api, size, filename="other", key="one").status_code == 409
    assert Upload.objects.count() == 1
