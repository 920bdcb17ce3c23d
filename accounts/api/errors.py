"""How refusals are answered: one place for what verbs raise and for what DRF raises."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts import database, vanishing
from accounts.api.refusals import TooLarge
from accounts.errors import InvalidInput, NotAllowed, StateConflict, Unavailable
from accounts.vanishing import Gone

log = structlog.get_logger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER; None lets an error nobody foresaw become a 500."""
    match error:
        case InvalidInput():
            return Response(error.errors, status=status.HTTP_400_BAD_REQUEST)
        case StateConflict():
            body = {"detail": error.detail, "status": error.status}
            return Response(body, status=status.HTTP_409_CONFLICT)
        case NotAllowed():
            return Response({"detail": error.detail}, status=status.HTTP_403_FORBIDDEN)
        case Unavailable():
            return _later(error.detail, seconds=30)
        case _ if vanishing.gone(error) is Gone.REFERENCE:
            return _gone(error)
        case OperationalError() if not database.is_away(error):
            # It waited or worked for longer than anybody may, or was in another one's way.
            return _later(_("The database could not do this at the moment."), seconds=2)
        case OperationalError():
            return _later(_("The database does not answer at the moment."), seconds=2)
    return _by_fields(exception_handler(_translated(error), context))


def _gone(error: Exception) -> Response:
    log.warning("referred_to_what_is_gone", error=str(error))
    body = {"detail": Gone.REFERENCE.said, "status": "deleted"}
    return Response(body, status=status.HTTP_409_CONFLICT)


def _later(detail: str, seconds: int) -> Response:
    return Response(
        {"detail": detail},
        status=status.HTTP_503_SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(seconds)},
    )


def _translated(error: Exception) -> Exception:
    match error:
        case Http404():
            return NotFound()  # Django's own words name the model
        case _ if vanishing.gone(error) is Gone.ITSELF:
            return NotFound()
        case RequestDataTooBig():
            return TooLarge()
        case ValidationError() if isinstance(error.detail, list):
            return ValidationError({"non_field_errors": error.detail})
    return error


def _by_fields(response: Response | None) -> Response | None:
    """Field errors as lists always, also where a query parameter was refused with a bare text."""
    if response is not None and response.status_code == status.HTTP_400_BAD_REQUEST:
        response.data = {
            name: said if isinstance(said, list) or name == "detail" else [said]
            for name, said in response.data.items()
        }
    return response
