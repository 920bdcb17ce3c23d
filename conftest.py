"""What every test of the project shares; the services start in `tests/settings.py`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import channel_layers
from django.core.management.color import no_style
from django.db import OperationalError, connection
from django.test import TransactionTestCase
from psycopg.errors import DeadlockDetected

# What migrations write: the same for ever.
KEPT = {"auth_permission", "django_content_type"}
DEADLOCKS = 10
"""How many in a row are no accident any more."""


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: looking through it for garbage again and again costs time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _emptied_fast() -> Iterator[None]:
    """After a test that commits. Django also writes all permissions anew, which takes ten times as
    long as to empty the tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty)
        yield


def _empty(_case: TransactionTestCase) -> None:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    emptied = connection.ops.sql_flush(no_style(), [name for name in tables if name not in KEPT])
    for _again in range(DEADLOCKS):
        try:
            connection.ops.execute_sql_flush(emptied)
        except OperationalError as error:
            # Another process, a web process in a browser's test, reads the same tables in another
            # order. The database has ended one of the two, and it was this one.
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
        else:
            return
    pytest.fail(f"{DEADLOCKS} deadlocks in a row while the tables were emptied")


@pytest.fixture(autouse=True)
def _channel_layer() -> None:
    """One of the test's own: a layer stays with the loop that listened last, even where that loop
    was closed in mid-listening, and refuses every other."""
    channel_layers.backends.clear()


@pytest.fixture(autouse=True)
def signing_key(settings: Any, tmp_path: Path) -> Path:
    """A file for a signing key of the test's own; worker and beat make the key when they start."""
    path = tmp_path / "keys" / "signing.key"
    settings.DEPLOYX_SIGNING_KEY_FILE = path
    return path
