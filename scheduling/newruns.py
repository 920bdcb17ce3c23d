"""Writes the runs of executions that begin: however many, a thousand in one statement.

As model objects, a thousand runs take half a second of nothing but Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from scheduling.models import DeviceRun

BATCH = 1_000


class NewRun(NamedTuple):
    """What tells one pending run from another, under the names of the model's attributes."""

    id: UUID
    execution_id: UUID
    task_id: UUID | None
    device_id: UUID
    device_name: str
    wave: int
    timeout_seconds: int
    is_exclusive: bool


def insert(runs: Sequence[NewRun]) -> None:
    """Everything else about them is as the model begins it."""
    statement, constants = _statement()
    for first in range(0, len(runs), BATCH):
        columns = zip(*runs[first : first + BATCH], strict=True)
        with connection.cursor() as cursor:
            cursor.execute(statement, [*constants, *map(list, columns)])


@cache
def _statement() -> tuple[str, list[Any]]:
    """The INSERT, and the values that are the same in every row."""
    fields = {field.attname: field for field in DeviceRun._meta.concrete_fields}
    types = {name: field.db_type(connection) for name, field in fields.items()}
    same = [name for name in fields if name not in (*NewRun._fields, "created_at")]
    constants = [
        fields[name].get_db_prep_save(fields[name].get_default(), connection) for name in same
    ]
    given = ", ".join(f"%s::{types[name]}[]" for name in NewRun._fields)
    statement = f"""
        INSERT INTO {DeviceRun._meta.db_table}
               (created_at, {", ".join(same)}, {", ".join(NewRun._fields)})
        SELECT statement_timestamp(), {", ".join(f"%s::{types[name]}" for name in same)}, given.*
          FROM unnest({given}) AS given ({", ".join(NewRun._fields)})
    """  # noqa: S608 - the model's own names
    return statement, constants
