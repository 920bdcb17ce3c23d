"""What machines ask of a web process: is it alive, and is the system ready for work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from scheduling import health

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers; it asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when database, Redis, a worker and a beat are there, else 503; says which are not, and
    what is missed meanwhile."""
    missing = [one.name for one in health.recent_checks() if not one.ok]
    if missing:  # what was missing a moment ago is asked for again
        missing = [one.name for one in health.checks() if not one.ok]
    body: dict[str, Any] = {"ready": not missing, "missing": missing}
    if missing and (late := health.overdue()):
        body["overdue"] = {"tasks": late.tasks, "since": late.since.isoformat()}
    response = JsonResponse(body, status=503 if missing else 200)
    # Whoever asks every second would fill the log; Django looks at this before it writes a 5xx.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
