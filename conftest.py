"""What every test of the project shares; the services start in `tests/settings.py`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import channel_layers
from django.db import OperationalError, connection, transaction
from django.test import TransactionTestCase
from psycopg.errors import DeadlockDetected

# What migrations write: the same for ever.
KEPT = {"auth_permission", "django_content_type"}
LARGE_BYTES = 1 << 20
"""A table beyond this is cut off rather than left full of what was deleted."""
DEADLOCKS = 10
"""How many in a row are no accident any more."""


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: looking through it for garbage again and again costs time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _emptied_fast() -> Iterator[None]:
    """After a test that commits. Django cuts off every table and writes all permissions anew, which
    takes some fifty times as long as to delete what there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty)
        yield


def _empty(_case: TransactionTestCase) -> None:
    for _again in range(DEADLOCKS):
        try:
            _delete_everything()
        except OperationalError as error:
            # Another process, a web process in a browser's test, writes to the same rows. The
            # database has ended one of the two, and it was this one.
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
        else:
            return
    pytest.fail(f"{DEADLOCKS} deadlocks in a row while the tables were emptied")


def _delete_everything() -> None:
    """No trigger and no foreign key is asked: nothing is left that they could guard."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    in_use = " UNION ALL ".join(
        f"(SELECT '{name}', pg_relation_size('{name}') > {LARGE_BYTES} FROM {name} LIMIT 1)"
        for name in set(tables) - KEPT
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(in_use)
        for name, is_large in cursor.fetchall():
            cursor.execute(f"TRUNCATE {name} CASCADE" if is_large else f"DELETE FROM {name}")


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
