"""Choosing groups and devices: what is chosen, and a page of what a search found.

Works by re-rendering: whatever is chosen travels in the form itself, so a search loses nothing. Of many
chosen devices only some are shown as boxes; the others' ids travel in one hidden field. What is gone, or
not this person's any more, shows among the first: to leave it out is theirs to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator

from accounts.pages import identifier
from devices.models import Device, DeviceGroup
from scheduling import targets
from scheduling.forms import picking

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
    devices = Device.objects.visible_to(user)
    groups = DeviceGroup.objects.visible_to(user)
    device_ids = _visible_ids(devices.present(), _ids(data, "device"))
    group_ids = _visible_ids(groups, _ids(data, "group"))
    return TargetPickers(
        groups=_picker("group", groups, groups, data),
        devices=_picker("device", devices, devices.present(), data),
        reach=targets.reach(device_ids, group_ids),
        chosen_groups=len(group_ids),
        chosen_devices=len(device_ids),
    )


def _ids(data: Typed, kind: str) -> list[str]:
    return [str(pk) for one in chosen_ids(data, kind) if (pk := identifier(one))]


def _unknown_first(visible: Any, ids: list[str]) -> list[str]:
    """In the order chosen where all of them show."""
    if len(ids) <= MOST_SHOWN:
        return ids
    known = {str(pk) for pk in _visible_ids(visible, ids)}
    return sorted(ids, key=lambda one: one in known)


def _visible_ids(visible: Any, ids: list[str]) -> list[Any]:
    return list(visible.filter(pk__in=ids).values_list("pk", flat=True)) if ids else []


def _picker(kind: str, visible: Any, offered: Any, data: Typed) -> Picker:
    ids = _unknown_first(visible, _ids(data, kind))
    search = data.get(f"{kind}_search", "").strip()
    shown, kept = ids[:MOST_SHOWN], ids[MOST_SHOWN:]
    known = {str(pk): one for pk, one in visible.in_bulk(shown).items()}
    found = offered.exclude(pk__in=ids).order_by("name", "pk")
    if search:
        found = found.filter(name__icontains=search)
    return Picker(
        kind=kind,
        search=search,
        chosen=[known.get(one) or picking.unknown(one) for one in shown],
        kept=" ".join(kept),
        kept_count=len(kept),
        found=Paginator(found, FOUND_AT_ONCE).get_page(data.get(f"{kind}_page")),
    )
