"""Choosing groups and devices: what is chosen, and a page of what a search found.

Works by re-rendering: whatever is chosen travels in the form itself, so a search loses nothing. Of many
chosen devices only some are shown as boxes; the others' ids travel in one hidden field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator

from accounts.pages import identifier
from devices.models import Device, DeviceGroup
from scheduling import targets

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.forms.payload import Typed

MOST_SHOWN = 30
FOUND_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Picker:
    """`kind` is device or group; `kept` holds the ids chosen but not shown, blank-separated."""

    kind: str
    search: str
    chosen: list[Any]
    kept: str
    kept_count: int
    found: Page[Any]


@dataclass(frozen=True, slots=True)
class TargetPickers:
    """`reach` is whom the chosen groups and devices, so many each, come to now."""

    groups: Picker
    devices: Picker
    reach: targets.Reach
    chosen_groups: int
    chosen_devices: int


def chosen_ids(data: Typed, kind: str) -> list[str]:
    """The ids chosen, shown or not, without repeats; what is no id is dropped where it was hidden."""
    kept = [one for one in data.get(f"kept_{kind}_ids", "").split() if identifier(one)]
    return list(dict.fromkeys([*data.getlist(f"{kind}_ids"), *kept]))


def pickers(data: Typed, user: User) -> TargetPickers:
    devices = Device.objects.visible_to(user).present()
    groups = DeviceGroup.objects.visible_to(user)
    device_ids = _visible_ids(devices, _ids(data, "device"))
    group_ids = _visible_ids(groups, _ids(data, "group"))
    return TargetPickers(
        groups=_picker("group", groups, data),
        devices=_picker("device", devices, data),
        reach=targets.reach(device_ids, group_ids),
        chosen_groups=len(group_ids),
        chosen_devices=len(device_ids),
    )


def _ids(data: Typed, kind: str) -> list[str]:
    return [one for one in chosen_ids(data, kind) if identifier(one)]


def _visible_ids(visible: Any, ids: list[str]) -> list[Any]:
    return list(visible.filter(pk__in=ids).values_list("pk", flat=True)) if ids else []


def _picker(kind: str, visible: Any, data: Typed) -> Picker:
    ids = _ids(data, kind)
    search = data.get(f"{kind}_search", "").strip()
    chosen = list(visible.filter(pk__in=ids[:MOST_SHOWN]))
    found = visible.exclude(pk__in=ids).order_by("name", "pk")
    if search:
        found = found.filter(name__icontains=search)
    kept = ids[MOST_SHOWN:]
    return Picker(
        kind=kind,
        search=search,
        chosen=chosen,
        kept=" ".join(kept),
        kept_count=len(kept),
        found=Paginator(found, FOUND_AT_ONCE).get_page(data.get(f"{kind}_page")),
    )
