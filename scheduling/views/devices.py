"""One device, with the history of all that ran on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from accounts.pages import newest_first, person, render_page
from devices.models import Device, DeviceGroup
from scheduling.models import DeviceRun

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse


@require_safe
@login_required
def device_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    runs = DeviceRun.objects.visible_to(user).filter(device=device).select_related("execution")
    context = {
        "device": device,
        "groups": DeviceGroup.objects.visible_to(user).filter(devices=device),
        "history": newest_first(request, runs),
    }
    return render_page(
        request, "devices/detail.html", context, regions={"device": "devices/_detail.html"}
    )
