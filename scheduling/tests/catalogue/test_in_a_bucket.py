"""Files in a bucket of a server that really speaks S3, through uploads, agents' downloads and the
collector."""

from __future__ import annotations

import base64
import logging
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.errors import Unavailable
from devices.agent import protocol
from devices.agent.downloading import Never, Wanted, download
from devices.ledger_port import RunFetch, RunSource
from scheduling import ledger
from scheduling.catalogue import files, store, uploads
from scheduling.catalogue.downloads import FileDownloads
from scheduling.models import DeviceRun, StoredFile
from scheduling.tests.catalogue.bucket_server import NAME, BucketServer, bucket_server
from scheduling.tests.catalogue.conftest import KEY, Store, sha256
from tests.running import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("signer")]
# Over 8 MiB, from where on an upload to a bucket comes in parts.
CONTENT = os.urandom(9_000_000)


@pytest.fixture(scope="module")
def server() -> Iterator[BucketServer]:
    with bucket_server() as found:
        yield found


@pytest.fixture(autouse=True)
def bucket(server: BucketServer, files_dir: Path, settings: Any) -> Iterator[BucketServer]:
    """Empty, and with keys that are right."""
    use(settings, server)
    yield server
    client = server.client()
    for name in server.objects():
        client.delete_object(Bucket=NAME, Key=name)


def use(settings: Any, server: BucketServer, **other: Any) -> None:
    options = {
        **settings.BUCKET_STORE["OPTIONS"],
        "bucket_name": NAME,
        "endpoint_url": server.url,
        "region_name": "us-east-1",
        "access_key": server.key_id,
        "secret_key": server.secret,
        **other,
    }
    blobs = {**settings.BUCKET_STORE, "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "blobs": blobs}


@pytest.fixture
def file(stored: Store) -> StoredFile:
    return stored(CONTENT)


@pytest.fixture
def address() -> Iterator[str]:
    """Of a web process that serves files alone."""
    app = FileDownloads(_no_other)
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
    serving = uvicorn.Server(config)
    thread = threading.Thread(target=serving.run, daemon=True)
    thread.start()
    until(lambda: serving.started, what="the web process up")
    yield f"http://127.0.0.1:{serving.servers[0].sockets[0].getsockname()[1]}"
    serving.should_exit = True
    thread.join(20)


async def _no_other(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("only files are asked for")


def fetch(address: str, run: DeviceRun, file: StoredFile, target: Path) -> None:
    """As an agent does it."""
    assert run.device_id is not None
    (answer,) = ledger.fetch([RunFetch(run.device_id, run.pk, file.blob.sha256)])
    assert isinstance(answer, RunSource)
    signature = base64.b64encode(protocol.sign(KEY, protocol.fetch_bytes(answer.url))).decode()
    wanted = Wanted(file.blob.sha256, file.blob.size)
    headers = {"X-DeployX-Signature": signature}
    download(address + answer.url, target, wanted, headers=headers, go_on=lambda: True)


def test_an_upload_in_pieces_is_one_object_under_its_digest(
    operator: User, bucket: BucketServer, files_dir: Path
) -> None:
    upload = uploads.begin(operator, {"name": "big.bin"}, len(CONTENT))
    while upload.file_id is None:
        piece = CONTENT[upload.received : upload.received + uploads.PIECE_BYTES]
        upload = uploads.append(upload, upload.received, iter([piece]), len(piece))
    digest = sha256(CONTENT)
    assert bucket.objects() == {f"blobs/{digest[:2]}/{digest}": len(CONTENT)}
    assert not list((files_dir / "drafts").iterdir())
    with store.opened(digest) as source:
        assert source.read() == CONTENT


def test_the_same_bytes_are_sent_once(stored: Store, bucket: BucketServer) -> None:
    one = stored(b"abc")
    modified = bucket.client().head_object(Bucket=NAME, Key=store.accel_path(one.blob_id))
    assert stored(b"abc").blob == one.blob
    again = bucket.client().head_object(Bucket=NAME, Key=store.accel_path(one.blob_id))
    assert again["LastModified"] == modified["LastModified"]
    assert len(bucket.objects()) == 1


def test_an_agent_fetches_it_whole_or_goes_on_at_any_byte(
    run: DeviceRun, file: StoredFile, address: str, tmp_path: Path
) -> None:
    for begun in (0, 1, 6_543_210, len(CONTENT) - 1):
        target = tmp_path / f"from {begun}"
        target.with_name(f"{target.name}.part").write_bytes(CONTENT[:begun])
        fetch(address, run, file, target)
        assert target.read_bytes() == CONTENT


def test_an_agent_takes_no_other_bytes_than_were_signed(
    run: DeviceRun, file: StoredFile, address: str, bucket: BucketServer, tmp_path: Path
) -> None:
    altered = b"x" + CONTENT[1:]
    bucket.client().put_object(Bucket=NAME, Key=store.accel_path(file.blob_id), Body=altered)
    with pytest.raises(Never, match="not the one that was signed"):
        fetch(address, run, file, tmp_path / "file")
    assert not list(tmp_path.glob("file*.part"))


def test_an_agent_is_told_of_bytes_that_are_gone(
    run: DeviceRun, file: StoredFile, address: str, bucket: BucketServer, tmp_path: Path
) -> None:
    bucket.client().delete_object(Bucket=NAME, Key=store.accel_path(file.blob_id))
    with pytest.raises(Never, match="no such file"):
        fetch(address, run, file, tmp_path / "file")
    with pytest.raises(FileNotFoundError), store.opened(file.blob_id):
        pass


def test_a_person_is_led_to_it_under_its_name_or_told_why_not(
    file: StoredFile, operator: User, bucket: BucketServer, settings: Any
) -> None:
    client, address = Client(), f"{file.get_absolute_url()}content"
    client.force_login(operator)
    led = client.get(address)
    assert (led.status_code, led["Cache-Control"]) == (302, "private, no-store")
    found = httpx.get(led["Location"])
    assert found.content == CONTENT
    assert found.headers["Content-Disposition"] == 'attachment; filename="motd"'
    assert found.headers["Content-Type"] == "application/octet-stream"
    bucket.client().delete_object(Bucket=NAME, Key=store.accel_path(file.blob_id))
    assert client.get(address).status_code == 404
    use(settings, bucket, secret_key="not-the-secret")
    with bucket.strict():
        assert client.get(address).status_code == 503


def test_what_nothing_refers_to_is_collected(
    stored: Store, operator: User, bucket: BucketServer
) -> None:
    files.delete(stored(b"abc"), operator)
    assert files.collect(timezone.now() + timedelta(hours=2)) == 1
    assert bucket.objects() == {}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"secret_key": "not-the-secret"}, "403 Forbidden"),
        ({"access_key": "not-a-key"}, "403 Forbidden"),
        ({"bucket_name": "another"}, "NoSuchBucket"),
        ({"endpoint_url": "http://127.0.0.1:1"}, "EndpointConnectionError"),
    ],
    ids=["another secret", "an unknown key", "no such bucket", "nobody there"],
)
def test_a_bucket_that_refuses_is_a_503_that_tells_no_secret(
    operator: User,
    bucket: BucketServer,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    wrong: dict[str, str],
    reason: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    use(settings, bucket, **wrong)
    client = APIClient()
    client.force_authenticate(operator)
    with bucket.strict():
        part = SimpleUploadedFile("motd", b"hello")
        answer = client.post("/api/files", {"file": part}, format="multipart")
    assert answer.status_code == 503, answer.content
    assert answer["Retry-After"]
    assert "bucket_refused" in caplog.text
    told = caplog.text + answer.content.decode()
    assert reason in told
    assert bucket.secret not in told
    assert "not-the-secret" not in told
    assert not StoredFile.objects.exists()


def test_the_draft_of_an_upload_outlives_a_bucket_that_is_away(
    operator: User, bucket: BucketServer, settings: Any
) -> None:
    use(settings, bucket, endpoint_url="http://127.0.0.1:1")
    upload = uploads.begin(operator, {"name": "motd"}, 5)
    with pytest.raises(Unavailable, match="The bucket that keeps the files refuses"):
        uploads.append(upload, 0, iter([b"hello"]), 5)
    use(settings, bucket)
    upload.refresh_from_db()
    assert uploads.append(upload, 5, iter([]), 0).file is not None
    assert list(bucket.objects().values()) == [5]
