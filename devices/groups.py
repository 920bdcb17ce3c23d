"""Verbs on groups. Administrators make and name them and say who may use them; whoever may use a
group moves devices in and out of it, as far as they may use those devices.

Input is a mapping of a group's fields: `name`, `description`, `kind`, `people`, and either `device_ids`
(static) or `query` (dynamic), whose members follow from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import database, fields, telling
from accounts.errors import InvalidInput, NotAllowed
from accounts.rights import is_administrator, require_administrator
from devices import membership, queries
from devices.models import Device, DeviceGroup
from devices.upward import upward

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)
MOST_DEVICES = 10_000
MOST_PEOPLE = 1_000
FEW = 20
Input = dict[str, Any]
_ONE_PER_NAME = "devices_devicegroup_name_key"
_TAKEN = gettext_lazy("Another group has this name.")


def create(user: User, data: Mapping[str, Any]) -> DeviceGroup:
    """Raises NotAllowed, InvalidInput."""
    require_administrator(user)
    group = _written(DeviceGroup(), user, data)
    log.info("group_created", group=str(group.pk), user=user.pk)
    return group


def update(
    group: DeviceGroup, user: User, data: Mapping[str, Any], *, partial: bool
) -> DeviceGroup:
    """What is left out keeps its value (`partial`) or gets its default. Raises NotAllowed where
    somebody else than an administrator changes more than the devices, and InvalidInput."""
    group = _written(group, user, data, partial=partial)
    log.info("group_changed", group=str(group.pk), user=user.pk)
    return group


def check(group: DeviceGroup, user: User, data: Mapping[str, Any]) -> None:
    """What `create` refuses of a new group, and `update` in part of another one. Raises InvalidInput."""
    _checked(group, user, as_input(group), data, partial=not group._state.adding)


@transaction.atomic
def delete(group: DeviceGroup, user: User) -> None:
    """Removes the group and takes it off every target list; its devices stay. Raises NotAllowed."""
    require_administrator(user)
    pk, people = group.pk, _people_of(group)
    upward().forget_group(pk)
    group.delete()
    telling.changed("group", [pk], known_to=people)
    log.info("group_deleted", group=str(pk), user=user.pk)


@transaction.atomic
def add_devices(group: DeviceGroup, user: User, device_ids: Collection[UUID]) -> None:
    """Raises NotAllowed without the right on the group, InvalidInput for devices not seen and for a
    group by query."""
    _require_use(group, user)
    _require_static(group)
    new = set(device_ids) - _device_ids(group)
    if missing := _not_usable(new, user):
        raise InvalidInput({"device_ids": [_not_found(missing)]})
    _move(group, added=new, removed=set())
    telling.changed("group", [group.pk])


@transaction.atomic
def remove_devices(group: DeviceGroup, user: User, device_ids: Collection[UUID]) -> None:
    """Raises NotAllowed without the right on the group, InvalidInput for a group by query."""
    _require_use(group, user)
    _require_static(group)
    _move(group, added=set(), removed=set(device_ids) & _device_ids(group))
    telling.changed("group", [group.pk])


@dataclass(frozen=True, slots=True)
class Preview:
    """What a query finds: how many, and the first few by name."""

    device_count: int
    devices: list[Device]


def preview(user: User, data: Mapping[str, Any]) -> Preview:
    """For `query`, among the devices this person sees. Raises InvalidInput."""
    errors: fields.Errors = {}
    query = fields.checked({"query": _query}, {"query": "", **data}, errors).get("query")
    if not query and not errors:
        errors["query"] = [_("This field is required.")]
    if errors or query is None:
        raise InvalidInput(errors)
    found = membership.found(query) & Device.objects.visible_to(user)
    return Preview(found.count(), list(found.order_by("name", "pk")[:FEW]))


def as_input(group: DeviceGroup) -> Input:
    """The group in the form the verbs take: written back unchanged, it changes nothing."""
    if group._state.adding:
        return {"device_ids": []}
    return {
        "name": group.name,
        "description": group.description,
        "kind": group.kind,
        "device_ids": [] if group.query else [str(pk) for pk in sorted(_device_ids(group))],
        "people": _people_of(group),
        "query": group.query or None,
    }


def _written(
    group: DeviceGroup, user: User, data: Mapping[str, Any], *, partial: bool = False
) -> DeviceGroup:
    try:
        with transaction.atomic():
            if not group._state.adding:
                group = DeviceGroup.objects.select_for_update(no_key=True).get(pk=group.pk)
            before = as_input(group)
            _write(group, user, before, _checked(group, user, before, data, partial=partial))
    except IntegrityError as error:
        # Somebody took the name between the look and the write.
        if not database.is_taken(error, _ONE_PER_NAME):
            raise
        raise InvalidInput({"name": [str(_TAKEN)]}) from None
    return group


def _checked(
    group: DeviceGroup, user: User, before: Input, data: Mapping[str, Any], *, partial: bool
) -> Input:
    errors: fields.Errors = {}
    given = (before if partial else {name: make() for name, make in DEFAULTS.items()}) | dict(data)
    values = fields.checked(CHECKS, given, errors)
    if "name" not in given:
        errors["name"] = [_("This field is required.")]
    elif _is_taken(group, values.get("name")):
        errors["name"] = [str(_TAKEN)]
    _check_kind(values, errors)
    new = {UUID(one) for one in values.get("device_ids", [])}
    new -= {UUID(one) for one in before["device_ids"]}
    if missing := _not_usable(new, user):
        errors["device_ids"] = [_not_found(missing)]
    if strangers := _not_users(values.get("people", [])):
        errors["people"] = [_not_found(strangers)]
    if errors:
        raise InvalidInput(errors)
    return values


def _write(group: DeviceGroup, user: User, before: Input, after: Input) -> None:
    if not group._state.adding and not is_administrator(user):
        _require_use(group, user)
        if any(after[name] != before[name] for name in CHECKS if name != "device_ids"):
            raise NotAllowed(_("Only an administrator may change more than a group's devices."))
    group.name, group.description, group.kind = after["name"], after["description"], after["kind"]
    group.query = after["query"] or ""
    group.save()
    group.people.set(after["people"])
    if group.query:
        membership.refresh_named([group.pk])
    else:
        were, are = ({UUID(one) for one in state["device_ids"]} for state in (before, after))
        _move(group, added=are - were, removed=were - are)
    telling.changed("group", [group.pk], known_to=before.get("people", []))


def _move(group: DeviceGroup, *, added: set[UUID], removed: set[UUID]) -> None:
    """By difference: a device that enrols into the group meanwhile stays in it."""
    group.devices.add(*Device.objects.filter(pk__in=added))
    group.devices.remove(*Device.objects.filter(pk__in=removed))


def _is_taken(group: DeviceGroup, name: str | None) -> bool:
    return DeviceGroup.objects.filter(name=name).exclude(pk=group.pk).exists()


def _not_usable(wanted: set[UUID], user: User) -> set[UUID]:
    visible = Device.objects.visible_to(user).filter(pk__in=wanted)
    return wanted - set(visible.values_list("pk", flat=True))


def _not_users(wanted: Collection[int]) -> set[int]:
    return set(wanted) - set(User.objects.filter(pk__in=wanted).values_list("pk", flat=True))


def _not_found(missing: set[Any]) -> str:
    return _("Not found: %s.") % ", ".join(str(one) for one in sorted(missing)[:5])


def _require_use(group: DeviceGroup, user: User) -> None:
    if not DeviceGroup.objects.visible_to(user).filter(pk=group.pk).exists():
        raise NotAllowed(_("You may not use this group."))


def _require_static(group: DeviceGroup) -> None:
    if group.query:
        raise InvalidInput({"device_ids": [_("The devices of a group by query follow from it.")]})


def _device_ids(group: DeviceGroup) -> set[UUID]:
    return set(group.devices.values_list("pk", flat=True))


def _people_of(group: DeviceGroup) -> list[int]:
    return sorted(group.people.values_list("pk", flat=True))


def _check_kind(values: Input, errors: fields.Errors) -> None:
    """A group has either devices or a query."""
    kind = values.get("kind")
    if kind == DeviceGroup.Kind.DYNAMIC:
        if "query" in values and not values["query"]:
            errors.setdefault("query", []).append(_("A group by query needs one."))
        if values.get("device_ids"):
            errors.setdefault("device_ids", []).append(
                _("The devices of a group by query follow from it.")
            )
    elif kind == DeviceGroup.Kind.STATIC and values.get("query"):
        errors.setdefault("query", []).append(_("Only a dynamic group has a query."))


def _query(value: object) -> str | None:
    if value is None:
        return None
    text = str(fields.text(queries.MOST_CHARACTERS)(value))
    if text:
        queries.parse(text)
    return text or None


def _people(value: object) -> list[int]:
    one = fields.whole_number(1, 2**31 - 1)
    people = fields.plain_list(value)
    if len(people) > MOST_PEOPLE:
        raise ValueError(_("must have at most %s entries.") % MOST_PEOPLE)
    return sorted({one(person) for person in people})


CHECKS: dict[str, fields.Check] = {
    "name": fields.text(100, shortest=1, one_line=True),
    "description": fields.text(2_000),
    "kind": fields.one_of(DeviceGroup.Kind.values),
    "device_ids": fields.identifiers(MOST_DEVICES),
    "people": _people,
    "query": _query,
}
DEFAULTS: dict[str, Callable[[], Any]] = {
    "description": str,
    "kind": lambda: DeviceGroup.Kind.STATIC.value,
    "device_ids": list,
    "people": list,
    "query": lambda: None,
}
