"""Verbs on groups. Administrators make and name them and say who may use them; whoever may use a
group moves devices in and out of it, as far as they may use those devices.

Input is a mapping of a group's fields: `name`, `description`, `kind`, `device_ids`, `people`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import fields
from accounts.errors import InvalidInput, NotAllowed
from accounts.rights import is_administrator, require_administrator
from devices.models import Device, DeviceGroup
from devices.upward import upward

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)
MOST_DEVICES = 10_000
MOST_PEOPLE = 1_000


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
    group = _written(group, user, as_input(group) | data if partial else data)
    log.info("group_changed", group=str(group.pk), user=user.pk)
    return group


@transaction.atomic
def delete(group: DeviceGroup, user: User) -> None:
    """Removes the group and takes it off every target list; its devices stay. Raises NotAllowed."""
    require_administrator(user)
    pk, devices = group.pk, _device_ids(group)
    upward().forget_group(pk)
    group.delete()
    upward().devices_changed(devices)
    log.info("group_deleted", group=str(pk), user=user.pk)


def add_devices(group: DeviceGroup, user: User, device_ids: Collection[UUID]) -> None:
    """Raises NotAllowed without the right on the group, InvalidInput for devices not seen."""
    _require_use(group, user)
    update(group, user, {"device_ids": list(_device_ids(group) | set(device_ids))}, partial=True)


def remove_devices(group: DeviceGroup, user: User, device_ids: Collection[UUID]) -> None:
    """Raises NotAllowed without the right on the group."""
    _require_use(group, user)
    update(group, user, {"device_ids": list(_device_ids(group) - set(device_ids))}, partial=True)


def as_input(group: DeviceGroup) -> dict[str, Any]:
    """The group in the form the verbs take: written back unchanged, it changes nothing."""
    return {
        "name": group.name,
        "description": group.description,
        "kind": group.kind,
        "device_ids": [str(pk) for pk in _device_ids(group)],
        "people": sorted(group.people.values_list("pk", flat=True)),
    }


def _written(group: DeviceGroup, user: User, data: Mapping[str, Any]) -> DeviceGroup:
    try:
        with transaction.atomic():
            _write(group, user, _checked(group, user, data))
    except IntegrityError:
        # Somebody took the name, or a device or person went, between the look and the write.
        raise InvalidInput({"name": [_("The group changed meanwhile; look again.")]}) from None
    return group


def _checked(group: DeviceGroup, user: User, data: Mapping[str, Any]) -> dict[str, Any]:
    errors: fields.Errors = {} if "name" in data else {"name": [_("This field is required.")]}
    defaults = {name: make() for name, make in DEFAULTS.items()}
    values = fields.checked(CHECKS, defaults | dict(data), errors)
    _check_name(group, values, errors)
    _check_devices(group, user, values, errors)
    _check_people(values, errors)
    if errors:
        raise InvalidInput(errors)
    return values


def _check_name(group: DeviceGroup, values: dict[str, Any], errors: fields.Errors) -> None:
    named = DeviceGroup.objects.filter(name=values.get("name")).exclude(pk=group.pk)
    if "name" in values and named.exists():
        errors["name"] = [_("Another group has this name.")]


def _check_devices(
    group: DeviceGroup, user: User, values: dict[str, Any], errors: fields.Errors
) -> None:
    """All wanted devices are in the group already, or may be used by this person."""
    wanted = values["device_ids"] = {UUID(one) for one in values.get("device_ids", ())}
    new = wanted - _device_ids(group)
    visible = Device.objects.visible_to(user).filter(pk__in=new)
    if missing := new - set(visible.values_list("pk", flat=True)):
        named = ", ".join(str(one) for one in sorted(missing)[:5])
        errors["device_ids"] = [_("Not found: %s.") % named]


def _check_people(values: dict[str, Any], errors: fields.Errors) -> None:
    wanted = values["people"] = set(values.get("people", ()))
    if missing := wanted - set(User.objects.filter(pk__in=wanted).values_list("pk", flat=True)):
        named = ", ".join(str(one) for one in sorted(missing)[:5])
        errors["people"] = [_("Not found: %s.") % named]


def _write(group: DeviceGroup, user: User, values: dict[str, Any]) -> None:
    if not group._state.adding:
        _require_right_to_change(group, user, values)
    group.name, group.description = values["name"], values["description"]
    group.kind = values["kind"]
    group.save()
    changed = values["device_ids"] ^ _device_ids(group)
    group.devices.set(values["device_ids"])
    group.people.set(values["people"])
    upward().devices_changed(changed)


def _require_right_to_change(group: DeviceGroup, user: User, values: Mapping[str, Any]) -> None:
    if is_administrator(user):
        return
    _require_use(group, user)
    is_same = (
        values["name"] == group.name
        and values["description"] == group.description
        and values["kind"] == group.kind
        and values["people"] == set(group.people.values_list("pk", flat=True))
    )
    if not is_same:
        raise NotAllowed(_("Only an administrator may change more of a group than its devices."))


def _require_use(group: DeviceGroup, user: User) -> None:
    if not DeviceGroup.objects.visible_to(user).filter(pk=group.pk).exists():
        raise NotAllowed(_("You may not use this group."))


def _device_ids(group: DeviceGroup) -> set[UUID]:
    if group._state.adding:
        return set()
    return set(group.devices.values_list("pk", flat=True))


def _kind(value: object) -> str:
    if value == "dynamic":
        raise ValueError(_("Groups by query are not offered yet; it must be static."))
    return str(fields.one_of(DeviceGroup.Kind.values)(value))


def _people(value: object) -> list[int]:
    one = fields.whole_number(1, 2**31 - 1)
    people = fields.plain_list(value)
    if len(people) > MOST_PEOPLE:
        raise ValueError(_("must have at most %s entries.") % MOST_PEOPLE)
    return [one(person) for person in people]


CHECKS: dict[str, fields.Check] = {
    "name": fields.text(100, shortest=1, one_line=True),
    "description": fields.text(2_000),
    "kind": _kind,
    "device_ids": fields.identifiers(MOST_DEVICES),
    "people": _people,
}
DEFAULTS: dict[str, Callable[[], Any]] = {
    "description": str,
    "kind": lambda: DeviceGroup.Kind.STATIC.value,
    "device_ids": list,
    "people": list,
}
