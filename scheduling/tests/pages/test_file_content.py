"""A stored file is downloaded from its page, as the bytes it is, by whoever may see it."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncRequestFactory, Client

from accounts.errors import Unavailable
from scheduling.catalogue import leaving, store
from scheduling.models import StoredFile
from scheduling.tests.catalogue.conftest import Store
from scheduling.views.file_content import file_content

pytestmark = pytest.mark.django_db
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def file(stored: Store) -> StoredFile:
    return stored(CONTENT)


def content(client: Client, file: StoredFile, **headers: str) -> Any:
    return client.get(f"{file.get_absolute_url()}content", headers=headers)


def test_its_page_leads_to_its_bytes(as_operator: Client, file: StoredFile) -> None:
    page = as_operator.get(file.get_absolute_url()).content.decode()
    assert f'href="{file.get_absolute_url()}content"' in page
    answer = content(as_operator, file)
    assert b"".join(answer.streaming_content) == CONTENT
    assert answer["Content-Disposition"] == 'attachment; filename="motd"'
    assert answer["Content-Length"] == str(len(CONTENT))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "private, no-store"


def test_it_is_its_owners_and_administrators(
    as_admin: Client, as_outsider: Client, client: Client, file: StoredFile
) -> None:
    assert b"".join(content(as_admin, file).streaming_content) == CONTENT
    assert content(as_outsider, file).status_code == 404
    assert content(client, file)["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ('a "b" \\ c.txt', r'filename="a \"b\" \\ c.txt"'),
        ("Übung €.txt", "filename*=utf-8''%C3%9Cbung%20%E2%82%AC.txt"),
        ("a\r\nSet-Cookie: b", "filename*=utf-8''a%0D%0ASet-Cookie%3A%20b"),
    ],
)
def test_whatever_its_name_it_is_saved_under_it(
    as_operator: Client, file: StoredFile, settings: Any, name: str, said: str
) -> None:
    StoredFile.objects.filter(pk=file.pk).update(name=name)
    for location in ("", "/stored/"):
        settings.DEPLOYX_ACCEL_LOCATION = location
        assert content(as_operator, file)["Content-Disposition"] == f"attachment; {said}"


@pytest.mark.parametrize(
    ("asked", "status", "part", "said"),
    [
        ("bytes=3-5", 206, CONTENT[3:6], f"bytes 3-5/{len(CONTENT)}"),
        ("bytes=10000-", 206, CONTENT[10000:], f"bytes 10000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        (f"bytes={len(CONTENT)}-", 416, b"", f"bytes */{len(CONTENT)}"),
        ("bytes=-5", 200, CONTENT, None),
    ],
)
def test_a_part_of_it_may_be_asked_for(
    as_operator: Client, file: StoredFile, asked: str, status: int, part: bytes, said: str | None
) -> None:
    answer = content(as_operator, file, range=asked)
    assert (answer.status_code, answer.get("Content-Range")) == (status, said)
    assert (b"".join(answer.streaming_content), answer["Content-Length"]) == (part, str(len(part)))


def test_an_empty_file_and_a_mere_look_have_no_bytes(
    as_operator: Client, stored: Store, file: StoredFile
) -> None:
    assert b"".join(content(as_operator, stored(b"")).streaming_content) == b""
    answer: Any = as_operator.head(f"{file.get_absolute_url()}content")
    assert (answer.status_code, answer["Content-Length"]) == (200, str(len(CONTENT)))


@pytest.mark.filterwarnings("error")
def test_a_web_process_reads_and_sends_it_a_piece_at_a_time(
    operator: User, file: StoredFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "PIECE_BYTES", 1_000)
    request: Any = AsyncRequestFactory().get("/")
    request.user = operator
    answer: Any = file_content(request, file.pk)

    async def pieces() -> list[bytes]:
        return [piece async for piece in answer]

    sent = async_to_sync(pieces)()
    assert (b"".join(sent), max(map(len, sent))) == (CONTENT, 1_000)
    answer.close()


def test_behind_nginx_the_bytes_are_nginxs_to_send(
    as_operator: Client, file: StoredFile, settings: Any
) -> None:
    settings.DEPLOYX_ACCEL_LOCATION = "/stored/"
    answer = content(as_operator, file)
    assert answer["X-Accel-Redirect"] == f"/stored/{store.accel_path(file.blob_id)}"
    assert (answer.content, answer["Content-Type"]) == (b"", "application/octet-stream")
    assert answer["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("location", ["", "/stored/"])
def test_bytes_that_are_not_there_are_a_page_that_says_so(
    as_operator: Client, file: StoredFile, settings: Any, location: str
) -> None:
    settings.DEPLOYX_ACCEL_LOCATION = location
    place = store.local_path(file.blob_id)
    assert place is not None
    place.unlink()
    answer = content(as_operator, file)
    assert answer.status_code == 404
    assert "Its bytes are not there any more" in answer.content.decode()


@pytest.mark.parametrize("problem", [Unavailable("away"), OSError(5, "Input/output error")])
def test_a_store_that_does_not_answer_is_a_page_that_says_so(
    as_operator: Client, file: StoredFile, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def away(sha256: str) -> bool:
        raise problem

    monkeypatch.setattr(store, "local_path", lambda sha256: None)
    monkeypatch.setattr(store, "is_kept", away)
    answer = content(as_operator, file)
    assert answer.status_code == 503
    assert "does not answer" in answer.content.decode()
