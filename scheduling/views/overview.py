"""The first page: is anything wrong, what comes next, what failed last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.views.decorators.http import require_safe

from accounts.pages import person, render_page
from devices import presence
from devices.models import Device
from scheduling import executions, schedules
from scheduling.models import Execution

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

ROWS = 5


@require_safe
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    user = person(request)
    visible = Execution.objects.visible_to(user)
    context = {
        "devices": presence.counts(Device.objects.visible_to(user)),
        "stats": schedules.stats(user),
        "running": executions.with_results(visible.under_way().order_by("-pk")[:ROWS]),
        "failed": executions.with_results(
            visible.filter(status__in=["failed", "partial", "missed"]).order_by("-pk")[:ROWS]
        ),
    }
    return render_page(
        request, "overview/overview.html", context, regions={"overview": "overview/_overview.html"}
    )
