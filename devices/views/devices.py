"""Who is out there; what is in scheduling's hands (history, revoking) is shown by its views."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import F, Q
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.acting import attempt
from accounts.errors import InvalidInput, NotAllowed
from accounts.meanwhile import ChangedMeanwhile, Known
from accounts.pages import administrator, identifier, paginate, person, render_page
from accounts.pressing import button
from devices import agent_updates, fleet, membership, presence
from devices.forms import MORE_GROUPS, DeviceForm, offered, typed_tags
from devices.models import Device, DeviceGroup

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse, QueryDict

    from devices.models.device import DeviceQuerySet

STATES = {
    Device.Status.ONLINE: Q(revoked_at=None, is_online=True),
    Device.Status.OFFLINE: Q(revoked_at=None, is_online=False, last_seen_at__isnull=False),
    Device.Status.NEVER_CONNECTED: Q(revoked_at=None, last_seen_at=None),
    Device.Status.REVOKED: Q(revoked_at__isnull=False),
}
SORTS: dict[str, tuple[Any, ...]] = {
    "name": ("name", "pk"),
    "seen": (F("last_seen_at").desc(nulls_last=True), "pk"),
    "newest": ("-pk",),
}
SORT_LABELS = (
    ("name", gettext_lazy("Name")),
    ("seen", gettext_lazy("Last seen")),
    ("newest", gettext_lazy("Enrolled last")),
)


@require_safe
@login_required
def device_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    visible = Device.objects.visible_to(user)
    groups = DeviceGroup.objects.visible_to(user)
    page = paginate(request, _filtered(visible, groups, request.GET))
    group = request.GET.get("group", "")
    context = {
        "page": page,
        "rows": membership.named(page.object_list, groups),
        "counts": presence.counts(visible),
        "offer": offered(groups, identifier(group)),
        "more_groups": MORE_GROUPS,
        "group": group,
        "sort": request.GET.get("sort", "name"),
        "sorts": SORT_LABELS,
        "states": Device.Status,
        "status": request.GET.get("status", ""),
        "search": request.GET.get("search", ""),
    }
    return render_page(
        request, "devices/list.html", context, regions={"device-list": "devices/_list.html"}
    )


@require_http_methods(["GET", "POST"])
@login_required
def device_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    form = DeviceForm(request.POST or None, initial=_typed(device))
    known = Known(request, device, _typed, form.label)
    if request.method == "POST" and form.is_valid() and _describe(device, user, form, known):
        messages.success(request, _("Saved."))
        return redirect("device", pk)
    return render(request, "devices/edit.html", {"device": device, "form": form, "known": known})


@button("device")
def device_update_agent(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = administrator(request)
    device = get_object_or_404(Device.objects.visible_to(user), pk=pk)
    said = _("The agent of “%s” will be updated.") % device.name
    attempt(request, partial(agent_updates.ask_one, device, user), said)
    return redirect("device", pk)


def _typed(device: Device) -> dict[str, str]:
    return {"name": device.name, "tags": typed_tags(device.tags)}


def _describe(device: Device, user: User, form: DeviceForm, known: Known) -> bool:
    given = {"name": form.cleaned_data["name"], "tags": form.tags_given()}
    try:
        with known.held():
            fleet.describe(device, user, given)
    except ChangedMeanwhile:
        return False
    except InvalidInput as refusal:
        form.refuse(refusal)
        return False
    except NotAllowed as refusal:
        form.add_error(None, refusal.detail)
        return False
    return True


def _filtered(devices: DeviceQuerySet, groups: Any, query: QueryDict) -> DeviceQuerySet:
    status = query.get("status", "")
    # A revoked device is history: it shows where it is asked for.
    wanted = STATES.get(status, ~STATES[Device.Status.REVOKED])  # type: ignore[call-overload]
    devices = devices.filter(wanted)
    if group := identifier(query.get("group", "")):
        members = Device.groups.through.objects.filter(devicegroup__in=groups.filter(pk=group))
        devices = devices.filter(pk__in=members.values("device"))
    if search := query.get("search", "").strip():
        devices = devices.found_by(search)
    order = SORTS.get(query.get("sort", ""), SORTS["name"])
    return devices.order_by(*order)
