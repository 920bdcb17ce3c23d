"""What somebody else deletes while a request is at it: one judgement for every door, and the answer to
the forms of pages."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.utils.translation import gettext as _
from psycopg.errors import ForeignKeyViolation

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)
API = "/api/"
ERRORS = (ObjectDoesNotExist, IntegrityError)
"""Those among which it is; not each of them is one."""


class Gone(Enum):
    """What is gone, by the status that says so."""

    ITSELF = 404
    """The door had found it; the verb, which locks it, did not."""
    REFERENCE = 409
    """Foreign keys are asked at the commit: the verb had found what it refers to, or found nothing
    that refers to what it deletes."""

    @property
    def said(self) -> str:
        if self is Gone.ITSELF:
            return _("Somebody has deleted it.")
        return _(
            "At this moment something it refers to was deleted, or something new came to refer to it."
        )


def gone(error: BaseException | None) -> Gone | None:
    """None where it is no error of this sort."""
    if isinstance(error, ObjectDoesNotExist):
        return Gone.ITSELF
    if isinstance(error, IntegrityError) and isinstance(error.__cause__, ForeignKeyViolation):
        return Gone.REFERENCE
    return None


def told(error: Exception) -> str:
    """What to say of one of ERRORS. Raises the error itself where it is of another sort."""
    found = gone(error)
    if found is None:
        raise error
    return found.said


class Vanishing(MiddlewareMixin):
    """Answers a page's form by a page that says so: its transaction is rolled back by then. On a mere
    look a row that is not there is a fault of ours; the API words its answers itself."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        found = gone(error)
        if found is None or request.method != "POST" or request.path.startswith(API):
            return None
        log.warning("form_met_what_is_gone", path=request.path, error=str(error))
        context = {"is_itself": found is Gone.ITSELF, "said": found.said}
        return render(request, "gone.html", context, status=found.value)
