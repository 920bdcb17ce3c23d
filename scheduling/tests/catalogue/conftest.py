from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from devices.agent import protocol
from devices.models import Device
from scheduling import ledger, rollout, schedules
from scheduling.catalogue import files
from scheduling.models import DeviceRun, Execution, StoredFile
from scheduling.tests import factories
from tests import proxied

Store = Callable[..., StoredFile]
KEY = protocol.new_private_key()
# apt-get install nginx-light: without it the tests that need one are not there.
collect_ignore = [] if proxied.program() else ["test_behind_nginx.py"]


@pytest.fixture(autouse=True)
def files_dir(settings: Any, tmp_path: Path) -> Path:
    """A store of the test's own."""
    settings.DEPLOYX_FILES_DIR = tmp_path / "files"
    local = {**settings.STORAGES["blobs"], "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "blobs": local}
    settings.DEPLOYX_FILES_FREE_BYTES = 0
    return tmp_path / "files"


@pytest.fixture
def stored(operator: User) -> Store:
    """Stores bytes as a file, the operator's unless `user` is given."""

    def make(content: bytes = b"hello\n", name: str = "motd", user: User = operator) -> StoredFile:
        return files.create(user, {"name": name}, iter([content]), len(content))

    return make


@pytest.fixture
def device(web_device: Device, web_group: object) -> Device:
    """One whose private key is KEY, and that the operator may use."""
    Device.objects.filter(pk=web_device.pk).update(public_key=protocol.public_key_of(KEY))
    return web_device


@pytest.fixture
def run(file: StoredFile, device: Device, operator: User, signer: str) -> DeviceRun:
    """A deployment of the test's own `file`, under way."""
    task = factories.by_hand(
        operator,
        devices=[device],
        task_type="file_deployment",
        task_payload={"file_ids": [str(file.pk)], "target_path": "/srv/"},
    )
    return under_way(schedules.execute(task, operator))


def under_way(execution: Execution) -> DeviceRun:
    """The first of its runs that was let go, started by its device."""
    rollout.advance(execution.pk)
    one = execution.runs.filter(has_slot=True).select_related("device")[0]
    assert one.device is not None
    session = factories.session_of(one.device)
    ledger.claim([session])
    ledger.start([(session, one.pk)])
    one.refresh_from_db()
    return one


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
