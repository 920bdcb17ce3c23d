"""`POST /api/agent/enroll`, the one call of an agent that comes before it has an identity.

Its body is the protocol's, decoded by the protocol's own module, not by REST framework.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from devices import enrollment
from devices.agent import protocol
from devices.api.brake import Brake
from devices.keys import SigningKeyError

if TYPE_CHECKING:
    from django.http import HttpRequest

log = structlog.get_logger(__name__)
# A fleet behind one address enrols as fast as it can: only who is refused is held up.
REFUSALS = Brake("enrolment-refused", at_most=30, seconds=60)


@csrf_exempt
@require_POST
@cache_control(no_store=True)
def enroll(request: HttpRequest) -> HttpResponse:
    address = request.META.get("REMOTE_ADDR", "")
    if wait := REFUSALS.wait_seconds(address):
        return _problem(429, _("Too many tries; wait a moment."), {"Retry-After": str(wait)})
    body = request.read(protocol.MAX_FRAME_BYTES + 1)
    if len(body) > protocol.MAX_FRAME_BYTES:
        return _problem(413, _("Larger than %s bytes.") % protocol.MAX_FRAME_BYTES)
    try:
        answer = enrollment.enroll(body)
    except SigningKeyError:
        log.warning("enrolment_without_signing_key")
        return _problem(503, _("This server has no signing key yet."), {"Retry-After": "10"})
    except protocol.ProtocolError as problem:
        REFUSALS.count(address)
        return _problem(400, str(problem))
    except enrollment.EnrolmentRefused:
        REFUSALS.count(address)
        log.info("enrolment_refused", address=address)
        return _problem(403, _("Refused: the token is wrong, used up or expired."))
    written = protocol.encode_enrolment(answer)
    return HttpResponse(written, status=HTTPStatus.CREATED, content_type="application/json")


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> HttpResponse:
    return JsonResponse({"detail": detail}, status=status, headers=headers)
