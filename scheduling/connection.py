from __future__ import annotations

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def own_connection() -> BaseDatabaseWrapper:
    """A database connection outside the pool and Django's handling, for a loop that keeps it."""
    connection = connections["default"].copy()
    connection.settings_dict["OPTIONS"].pop("pool", None)
    connection.settings_dict["CONN_MAX_AGE"] = None
    connection.inc_thread_sharing()
    return connection
