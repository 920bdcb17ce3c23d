"""Verbs on groups. Administrators make and name them and say who may use them; whoever may use a
group moves devices in and out of it, as far as they may use those devices."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, NotAllowed
from accounts.rights import is_administrator, require_administrator
from devices.facts import one_line
from devices.models import Device, DeviceGroup
from devices.upward import upward

log = structlog.get_logger(__name__)
MOST_DEVICES = 10_000
Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a group is to be; None leaves that part as it is. `people` are user ids."""

    name: str | None = None
    description: str | None = None
    kind: str | None = None
    device_ids: Collection[UUID] | None = None
    people: Collection[int] | None = None

    @property
    def is_of_devices_alone(self) -> bool:
        return all(part is None for part in (self.name, self.description, self.kind, self.people))


def create(user: User, wanted: Change) -> DeviceGroup:
    """Raises NotAllowed, InvalidInput."""
    require_administrator(user)
    named = wanted.name is not None
    group = _written(DeviceGroup(), user, wanted, {} if named else {"name": [_("is required.")]})
    log.info("group_created", group=str(group.pk), user=user.pk)
    return group


def update(group: DeviceGroup, user: User, wanted: Change) -> DeviceGroup:
    """Raises NotAllowed, InvalidInput."""
    if not wanted.is_of_devices_alone and _differs(group, wanted):
        require_administrator(user)
    group = _written(group, user, wanted, {})
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


@transaction.atomic
def add_devices(group: DeviceGroup, user: User, device_ids: Collection[UUID]) -> None:
    """Raises NotAllowed without the right on the group, InvalidInput for devices not seen."""
    _require_use(group, user)
    errors: Errors = {}
    added = _checked_devices(group, user, set(device_ids) | _device_ids(group), errors)
    if errors:
        raise InvalidInput(errors)
    _write_devices(group, added)


@transaction.atomic
def remove_devices(group: DeviceGroup, user: User, device_ids: Collection[UUID]) -> None:
    """Raises NotAllowed without the right on the group."""
    _require_use(group, user)
    _write_devices(group, _device_ids(group) - set(device_ids))


def _written(group: DeviceGroup, user: User, wanted: Change, errors: Errors) -> DeviceGroup:
    try:
        with transaction.atomic():
            _apply(group, user, wanted, errors)
    except IntegrityError:
        # Somebody took the name between the look and the write.
        raise InvalidInput({"name": [_("is another group's.")]}) from None
    return group


def _apply(group: DeviceGroup, user: User, wanted: Change, errors: Errors) -> None:
    devices = people = None
    if wanted.kind not in (None, DeviceGroup.Kind.STATIC):
        errors["kind"] = [_("must be static: groups by query are not offered yet.")]
    if wanted.name is not None:
        group.name = _name(group, wanted.name, errors)
    if wanted.description is not None:
        group.description = wanted.description.strip()
        if len(group.description) > 2_000:
            errors["description"] = [_("must have at most 2000 characters.")]
    if wanted.device_ids is not None:
        devices = _checked_devices(group, user, set(wanted.device_ids), errors)
    if wanted.people is not None:
        people = _checked_people(wanted.people, errors)
    if errors:
        raise InvalidInput(errors)
    group.save()
    if devices is not None:
        _write_devices(group, devices)
    if people is not None:
        group.people.set(people)


def _name(group: DeviceGroup, name: str, errors: Errors) -> str:
    cleaned = one_line(name, len(name))
    if not 1 <= len(cleaned) <= 100:
        errors["name"] = [_("must have from 1 to 100 characters.")]
    elif DeviceGroup.objects.filter(name=cleaned).exclude(pk=group.pk).exists():
        errors["name"] = [_("is another group's.")]
    return cleaned


def _checked_devices(
    group: DeviceGroup, user: User, wanted: set[UUID], errors: Errors
) -> set[UUID]:
    """The wanted ids, all of which are in the group already or may be used by this person."""
    visible = Device.objects.visible_to(user).filter(pk__in=wanted).values_list("pk", flat=True)
    if unknown := wanted - set(visible) - _device_ids(group):
        named = ", ".join(str(one) for one in sorted(unknown)[:5])
        errors["device_ids"] = [_("There is no device %s that you may use.") % named]
    if len(wanted) > MOST_DEVICES:
        errors["device_ids"] = [_("must have at most %s entries.") % MOST_DEVICES]
    return wanted


def _checked_people(wanted: Collection[int], errors: Errors) -> set[int]:
    known = set(User.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    if unknown := set(wanted) - known:
        named = ", ".join(str(one) for one in sorted(unknown)[:5])
        errors["people"] = [_("There is no user %s.") % named]
    return known


def _write_devices(group: DeviceGroup, wanted: set[UUID]) -> None:
    changed = wanted ^ _device_ids(group)
    group.devices.set(wanted)
    upward().devices_changed(changed)


def _device_ids(group: DeviceGroup) -> set[UUID]:
    if group._state.adding:
        return set()
    return set(group.devices.values_list("pk", flat=True))


def _differs(group: DeviceGroup, wanted: Change) -> bool:
    """Whether more than the devices changes: who may use a group may hand back what they got."""
    people = set(group.people.values_list("pk", flat=True))
    return (
        wanted.name not in (None, group.name)
        or wanted.description not in (None, group.description)
        or wanted.kind not in (None, group.kind)
        or (wanted.people is not None and set(wanted.people) != people)
    )


def _require_use(group: DeviceGroup, user: User) -> None:
    allowed = is_administrator(user) or (
        DeviceGroup.objects.visible_to(user).filter(pk=group.pk).exists()
    )
    if not allowed:
        raise NotAllowed(_("You may not use this group."))
