from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# Whoever of ours holds a lock is stopped after 30 s at work, or after 30 s without any.
LOCK_TIMEOUT = "65s"


class Command(migrate.Command):
    help = f"{migrate.Command.help} What it does may take as long as it takes."

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        _set(connection, "SET statement_timeout = 0", f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        super().handle(*args, **options)
        _set(connection, "RESET statement_timeout", "RESET lock_timeout")


def _set(connection: BaseDatabaseWrapper, *statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
