"""What an error of the database means for whoever asked something of it."""

from __future__ import annotations

from django.db import IntegrityError, InterfaceError, OperationalError
from psycopg.errors import UniqueViolation

# SQLSTATE classes: connection exceptions, insufficient resources, operator intervention.
_AWAY = ("08", "53", "57P")


def is_away(error: BaseException | None) -> bool:
    """Whether a request failed because there is no database to ask, rather than at its work."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(_AWAY)


def is_taken(error: IntegrityError, constraint: str) -> bool:
    """Whether another row has what this constraint, by its name, lets only one have."""
    cause = error.__cause__
    return isinstance(cause, UniqueViolation) and cause.diag.constraint_name == constraint
