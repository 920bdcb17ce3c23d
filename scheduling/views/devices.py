"""Devices and groups as far as tasks and runs are concerned: history, and what goes with them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.acting import attempt
from accounts.pages import administrator, newest_first, paginate, person, render_page
from accounts.pressing import once
from devices import agent_updates, fleet, groups, membership
from devices.models import Device, DeviceGroup
from scheduling import alarms, recovery
from scheduling.models import DeviceRun, ScheduledTask, Software

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    from devices.models import InstalledSoftware

MOST_ALARMS = 10
MOST_SOFTWARE = 10
MOST_GROUPS = 12


@require_safe
@login_required
def device_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    runs = DeviceRun.objects.visible_to(user).filter(device=device).select_related("execution")
    ((_device, in_groups),) = membership.named(
        [device], DeviceGroup.objects.visible_to(user), MOST_GROUPS
    )
    context = {
        "device": device,
        "can_update_agent": user.is_superuser and agent_updates.may_be_asked(device),
        "facts": _facts(device.facts),
        "in_groups": in_groups,
        "history": newest_first(request, runs),
        "installed": with_entries(device.software.order_by("name")[:MOST_SOFTWARE], user),
        "installed_count": device.software.count(),
        "recovery": recovery.status() if device.in_recovery else None,
        "alarms": alarms.recent().visible_to(user).filter(device=device)[:MOST_ALARMS],
    }
    return render_page(
        request, "devices/detail.html", context, regions={"device": "devices/_detail.html"}
    )


@require_safe
@login_required
def device_software(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Everything that software deployments found on a device."""
    user = person(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    search = request.GET.get("search", "")
    page = paginate(
        request, device.software.filter(name__icontains=search.strip()).order_by("name")
    )
    context = {
        "device": device,
        "page": page,
        "installed": with_entries(page.object_list, user),
        "search": search,
    }
    regions = {"device-software": "devices/_software.html"}
    return render_page(request, "devices/software.html", context, regions=regions)


@require_http_methods(["GET", "POST"])
@login_required
@once
def device_revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what ends with it; POST revokes."""
    user = administrator(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    if request.method == "POST":
        attempt(request, partial(fleet.revoke, device, user), _("“%s” is revoked.") % device.name)
        return redirect(device)
    return render(request, "devices/revoke.html", _consequences(device))


@require_http_methods(["GET", "POST"])
@login_required
@once
def device_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what would be destroyed; POST does it."""
    user = administrator(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    if request.method == "POST":
        attempt(request, partial(fleet.delete, device, user), _("“%s” is deleted.") % device.name)
        return redirect("device-list")
    return render(request, "devices/delete.html", _consequences(device))


@require_http_methods(["GET", "POST"])
@login_required
@once
def group_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET says what would be destroyed; POST does it."""
    user = administrator(request)
    group = get_object_or_404(DeviceGroup.objects.visible_to(user), pk=pk)
    if request.method == "POST":
        attempt(request, partial(groups.delete, group, user), _("“%s” is deleted.") % group.name)
        return redirect("group-list")
    tasks = ScheduledTask.objects.listed().filter(group_ids__contains=[str(group.pk)])
    context = {
        "group": group,
        "devices": group.devices.count(),
        "people": group.people.filter(is_superuser=False).count(),
        "tasks": tasks.count(),
    }
    return render(request, "groups/delete.html", context)


def with_entries(
    rows: Iterable[InstalledSoftware], user: User
) -> list[tuple[InstalledSoftware, Software | None]]:
    """Each with the entry of the catalogue it came from, where that is still there."""
    rows = list(rows)
    entries = Software.objects.visible_to(user).in_bulk(
        [row.catalogue_id for row in rows if row.catalogue_id]
    )
    return [(row, entries.get(row.catalogue_id)) for row in rows]


def _consequences(device: Device) -> dict[str, Any]:
    runs = DeviceRun.objects.filter(device=device)
    tasks = ScheduledTask.objects.listed().filter(device_ids__contains=[str(device.pk)])
    return {
        "device": device,
        "waiting": runs.unstarted().count(),
        "running": runs.filter(status=DeviceRun.Status.RUNNING).count(),
        "tasks": tasks.count(),
    }


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """What the device says of itself, in lines; nested facts carry the names on the way."""
    rows: list[tuple[str, str]] = []
    for name, value in sorted(facts.items()):
        if isinstance(value, dict):
            rows += [(f"{name}.{inner}", text) for inner, text in _facts(value)]
        elif isinstance(value, list):
            rows.append((name, ", ".join(str(one) for one in value)))
        elif value not in (None, ""):
            rows.append((name, str(value)))
    return rows
