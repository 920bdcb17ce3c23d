"""The system's own page: what it stands on, recovery mode, and alarms. For administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.pages import administrator, paginate, render_page
from devices.models import Device
from scheduling import alarms, health, recovery

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

MOST_DEVICES = 50


@require_safe
@login_required
def banner(request: HttpRequest) -> HttpResponse:
    """What stands above every page while something is not well; each asks for it once a minute."""
    administrator(request)
    return render(request, "_health.html", health.banner())


@require_safe
@login_required
def system(request: HttpRequest) -> HttpResponse:
    administrator(request)
    status = recovery.status()
    marked = list(Device.objects.filter(in_recovery=True).order_by("name", "pk")[:MOST_DEVICES])
    context = {
        "checks": health.checks(),
        "recovery": status,
        "marked": marked,
        "marked_more": status.marked - len(marked),
        "page": paginate(request, alarms.recent().select_related("device")),
    }
    return render_page(
        request, "health/health.html", context, regions={"health": "health/_health.html"}
    )
