"""Verbs on devices. Whoever may use a device names and tags it; who is in the fleet at all is
decided by administrators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, StateConflict
from accounts.rights import require_administrator
from devices.facts import one_line
from devices.models import Device
from devices.upward import upward

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)
MOST_TAGS = 50
LONGEST_TAG = 64
LONGEST_TAG_VALUE = 200


def describe(
    device: Device, user: User, *, name: str | None = None, tags: Mapping[str, str] | None = None
) -> Device:
    """Names and tags a device this person sees; None leaves that as it is. Raises InvalidInput."""
    errors: dict[str, list[str]] = {}
    changes: dict[str, object] = {}
    if name is not None:
        changes["name"] = _name(name, errors)
    if tags is not None:
        changes["tags"] = _tags(tags, errors)
    if errors:
        raise InvalidInput(errors)
    with transaction.atomic():
        Device.objects.filter(pk=device.pk).update(**changes)
        upward().devices_changed([device.pk])
    log.info("device_described", device=str(device.pk), user=user.pk, fields=sorted(changes))
    for field, value in changes.items():
        setattr(device, field, value)
    return device


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
    pk = device.pk
    device.delete()
    upward().devices_changed([pk])
    log.info("device_deleted", device=str(pk), user=user.pk)


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


def _name(name: str, errors: dict[str, list[str]]) -> str:
    cleaned = one_line(name, len(name))
    if not 1 <= len(cleaned) <= 200:
        errors["name"] = [_("must have from 1 to 200 characters.")]
    return cleaned


def _tags(tags: Mapping[str, str], errors: dict[str, list[str]]) -> dict[str, str]:
    cleaned = {
        one_line(tag, len(tag)): one_line(value, len(value))
        for tag, value in tags.items()
        if isinstance(value, str)
    }
    if len(cleaned) < len(tags):
        errors["tags"] = [_("must be names with one text each.")]
    elif len(cleaned) > MOST_TAGS:
        errors["tags"] = [_("must be at most %s.") % MOST_TAGS]
    elif any(
        not tag or len(tag) > LONGEST_TAG or len(value) > LONGEST_TAG_VALUE
        for tag, value in cleaned.items()
    ):
        errors["tags"] = [
            _("must have names of 1 to %(name)s characters and texts of at most %(text)s.")
            % {"name": LONGEST_TAG, "text": LONGEST_TAG_VALUE}
        ]
    return cleaned
