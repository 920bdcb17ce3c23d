"""The answers of last resort: what went wrong is in the log, never on the page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from accounts import database

if TYPE_CHECKING:
    from django.db import OperationalError
    from django.http import HttpRequest

RETRY_AFTER_SECONDS = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, else 500; in JSON to whoever asked the API."""
    away = database.is_away(sys.exc_info()[1])
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


def without_database(error: OperationalError) -> str:
    """What a command says that the database kept from its end."""
    said = str(error).strip().splitlines()[0]
    if getattr(error.__cause__, "sqlstate", None) is not None:
        return f"The database answered with an error: {said}"
    if settings.IS_EMBEDDED:
        return f"No database: the system of this checkout is not running. Run make up.\n({said})"
    return f"No connection to the database: {said}"
