"""The answers of last resort: what went wrong is in the log, never on the page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.http import HttpRequest

RETRY_AFTER_SECONDS = 5
# SQLSTATE classes: connection exceptions, insufficient resources, operator intervention.
_AWAY = ("08", "53", "57P")


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, else 500; in JSON to whoever asked the API."""
    away = is_database_away(sys.exc_info()[1])
    status = 503 if away else 500
    response: HttpResponse
    if request.path.startswith("/api/"):
        detail = (
            _("The database does not answer at the moment.") if away else _("The server failed.")
        )
        response = JsonResponse({"detail": detail}, status=status)
    else:
        response = HttpResponse(render_to_string(f"{status}.html"), status=status)
    if away:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def is_database_away(error: BaseException | None) -> bool:
    """Whether a request failed because there is no database to ask, rather than at its work."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(_AWAY)
