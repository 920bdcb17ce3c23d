"""Groups: what is in them, and who may use them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.acting import attempt, back, refuse
from accounts.errors import InvalidInput
from accounts.meanwhile import ChangedMeanwhile, Known
from accounts.pages import administrator, identifier, paginate, person, render_page
from accounts.pressing import button, by_script, once
from devices import groups, membership
from devices.forms import GroupForm
from devices.models import Device, DeviceGroup

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

FOUND_AT_ONCE = 12
NAMES_OFFERED = 200


@require_safe
@login_required
def group_list(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("search", "")
    user = person(request)
    found = DeviceGroup.objects.visible_to(user).filter(name__icontains=search.strip())
    device = None
    if "device" in request.GET:
        wanted = identifier(request.GET["device"])
        device = get_object_or_404(Device.objects.visible_to(user), pk=wanted)
        found = found.filter(devices=device)
    page = paginate(request, found.order_by("name"))
    context = {
        "page": page,
        "rows": membership.counted(page.object_list),
        "search": search,
        "device": device,
    }
    return render_page(
        request, "groups/list.html", context, regions={"group-list": "groups/_list.html"}
    )


@require_http_methods(["GET", "POST"])
@login_required
@once
def group_new(request: HttpRequest) -> HttpResponse:
    user = administrator(request)
    form = GroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            group = groups.create(user, form.given())
        except InvalidInput as refusal:
            form.refuse(refusal)
        else:
            said = _("“%s” is there.") if group.query else _("“%s” is there. Put devices into it.")
            messages.success(request, said % group.name)
            return redirect("group", group.pk)
    return render(request, "groups/form.html", {"form": form})


@require_safe
@login_required
def group_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = person(request)
    group = visible_group(user, pk)
    find = request.GET.get("find", "").strip()
    visible = Device.objects.visible_to(user).present()
    outside = visible.exclude(pk__in=group.devices.values("pk")).order_by("name", "pk")
    context = {
        "group": group,
        "page": paginate(request, group.devices.order_by("name", "pk")),
        "people": paginate(request, group.people.order_by("username"), parameter="people"),
        "find": find,
        "found": outside.filter(name__icontains=find)[:FOUND_AT_ONCE],
        "offered": _others(group) if user.is_superuser else [],
    }
    return render_page(
        request, "groups/detail.html", context, regions={"group": "groups/_detail.html"}
    )


@require_http_methods(["GET", "POST"])
@login_required
def group_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    user = administrator(request)
    group = visible_group(user, pk)
    form = GroupForm(request.POST or None, initial=_typed(group))
    known = Known(request, group, _typed, form.label)
    if request.method == "POST" and form.is_valid():
        try:
            with known.held():
                groups.update(group, user, form.given(), partial=True)
        except InvalidInput as refusal:
            form.refuse(refusal)
        except ChangedMeanwhile:
            pass  # the page says so
        else:
            messages.success(request, _("Saved."))
            return redirect("group", group.pk)
    return render(request, "groups/form.html", {"form": form, "group": group, "known": known})


@by_script
def group_preview(request: HttpRequest) -> HttpResponse:
    """What the query that is being typed finds, or what is wrong with it."""
    context: dict[str, object] = {}
    query = request.POST.get("query", "").strip()
    if query:
        try:
            context["preview"] = groups.preview(person(request), {"query": query})
        except InvalidInput as refusal:
            context["errors"] = refusal.errors["query"]
    return render(request, "groups/_preview.html", context)


@button("group")
def group_devices(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Puts the ticked devices in, or with `remove` takes them out."""
    user = person(request)
    group = visible_group(user, pk)
    ids = [one for text in request.POST.getlist("device_ids") if (one := identifier(text))]
    if "remove" in request.POST:
        verb, done = groups.remove_devices, _("%s taken out.")
    else:
        verb, done = groups.add_devices, _("%s put in.")
    if ids:
        attempt(request, partial(verb, group, user, ids), done % len(ids))
    else:
        messages.info(request, _("No device was ticked."))
    return back(request, group.get_absolute_url())


@button("group")
def group_people(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Gives the group to the person `add` names, or takes it from the one `remove` names by id."""
    user = administrator(request)
    group = visible_group(user, pk)
    people = set(group.people.values_list("pk", flat=True))
    if "remove" in request.POST:
        people -= {int(one) for one in request.POST.getlist("remove") if one.isdecimal()}
    else:
        named = get_user_model().objects.filter(username=request.POST.get("add", "").strip())
        if not named:
            refuse(request, _("There is no person of this name."))
            return back(request, group.get_absolute_url())
        people |= {named[0].pk}
    change = partial(groups.update, group, user, {"people": list(people)}, partial=True)
    attempt(request, change, _("Saved."))
    return back(request, group.get_absolute_url())


def visible_group(user: User, pk: UUID) -> DeviceGroup:
    """Raises Http404 for what is not there and what is not theirs alike."""
    return get_object_or_404(DeviceGroup.objects.visible_to(user), pk=pk)


def _typed(group: DeviceGroup) -> dict[str, str]:
    return {name: getattr(group, name) for name in ("name", "description", "query")}


def _others(group: DeviceGroup) -> list[str]:
    """Names of people who could be given the group; administrators have every group already."""
    people = get_user_model().objects.filter(is_active=True, is_superuser=False)
    others = people.exclude(pk__in=group.people.values("pk")).order_by("username")
    return list(others.values_list("username", flat=True)[:NAMES_OFFERED])
