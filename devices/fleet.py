"""Verbs on devices. Whoever may use a device names and tags it; who is in the fleet at all is
decided by administrators."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import fields, telling
from accounts.errors import InvalidInput, NotAllowed, StateConflict
from accounts.rights import require_administrator
from devices import membership
from devices.models import Device, DeviceGroup
from devices.upward import upward

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
MOST_TAGS = 50
_HOLD = "SELECT id FROM devices_device WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"


@transaction.atomic
def describe(device: Device, user: User, data: Mapping[str, Any]) -> Device:
    """Writes the `name` and `tags` (an object of texts) given for a device this person sees.

    Raises InvalidInput, and NotAllowed where a group by query that this person may not use would
    find the device by it, or find it no more.
    """
    errors: fields.Errors = {}
    changes = fields.checked(CHECKS, data, errors)
    if errors:
        raise InvalidInput(errors)
    if changes:
        device = _locked(device.pk)
        others = _groups_of_others(user)
        before = membership.finding(device.pk, others)
        for name, value in changes.items():
            setattr(device, name, value)
        device.save(update_fields=list(changes))
        if membership.finding(device.pk, others) != before:
            # Not which: that there is such a group is all they are told.
            raise NotAllowed(
                _("This would move the device into or out of a group of other people.")
            )
        telling.changed("device", [device.pk])
        log.info("device_described", device=str(device.pk), user=user.pk, fields=sorted(changes))
    return device


def _groups_of_others(user: User) -> list[DeviceGroup]:
    """By query, and not this person's to use: who adds a device to a group needs the right on both."""
    mine = DeviceGroup.objects.visible_to(user)
    return list(DeviceGroup.objects.by_query().exclude(pk__in=mine.values("pk")))


@transaction.atomic
def revoke(device: Device, user: User) -> Device:
    """Ends a device's work for good, and keeps it and its history. Raises NotAllowed, and
    StateConflict where it is revoked already."""
    require_administrator(user)
    device = _locked(device.pk)
    if device.revoked_at is not None:
        raise StateConflict(_("The device is revoked already."), device.status)
    _mark_revoked(device)
    upward().ledger.device_revoked(device.pk)
    log.info("device_revoked", device=str(device.pk), user=user.pk)
    return device


@transaction.atomic
def delete(device: Device, user: User) -> None:
    """Revokes the device and removes it: waiting runs end skipped, it leaves every target list,
    its history stays under its name. Raises NotAllowed."""
    require_administrator(user)
    device = _locked(device.pk)
    if device.revoked_at is None:
        _mark_revoked(device)
    upward().forget_device(device.pk)
    # From here on nobody can add a run for it; what was added meanwhile ends with the rest.
    Device.objects.select_for_update().get(pk=device.pk)
    upward().ledger.device_revoked(device.pk)
    pk, groups = device.pk, list(device.groups.values_list("pk", flat=True))
    device.delete()
    telling.changed("device", [pk])
    telling.changed("group", groups)
    log.info("device_deleted", device=str(pk), user=user.pk)


def hold(devices: Collection[UUID]) -> set[UUID]:
    """Those of these devices that are still there; they stay until the caller's transaction ends.
    A foreign key is checked only then, and would find the device of a new run deleted."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [list(devices)])
        return {pk for (pk,) in cursor}


def _locked(pk: UUID) -> Device:
    # Not the full lock: runs that refer to the device are written meanwhile, by transactions that
    # hold a task this one may come to want.
    return Device.objects.select_for_update(no_key=True).get(pk=pk)


def _mark_revoked(device: Device) -> None:
    """No run of it is started after the commit, and its connection is closed with 4403."""
    device.revoked_at = timezone.now()
    if device.is_online:
        device.is_online, device.online_changed_at = False, device.revoked_at
    device.save(update_fields=["revoked_at", "is_online", "online_changed_at"])


def _tags(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_TAGS:
        raise ValueError(_("must be an object of at most %s names with a text each.") % MOST_TAGS)
    return {_TAG(name): _TAG_TEXT(text) for name, text in value.items()}


_TAG = fields.text(64, shortest=1, one_line=True)
_TAG_TEXT = fields.text(200, one_line=True)
CHECKS: dict[str, fields.Check] = {
    "name": fields.text(200, shortest=1, one_line=True),
    "tags": _tags,
}
