"""What software runs found on their devices, kept as each device's inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, Subquery
from django.db.models.functions import Greatest

from devices.models import Device, InstalledSoftware
from scheduling.models import DeviceRun, Software

MOST_PER_RUN = 200


def note(device: UUID, run: UUID, detail: Mapping[str, Any], now: datetime) -> set[UUID]:
    """Takes over what a run says of the software it dealt with, in the caller's transaction; of which
    entries of the catalogue that was. The detail is a device's word and is read with care."""
    if detail.get("reboot_required") is True:
        began = DeviceRun.objects.filter(pk=run).values("started_at")
        wanted = Greatest(F("restart_wanted_at"), Subquery(began))
        Device.objects.filter(pk=device).update(restart_wanted_at=wanted)
    found = list(_entries(detail))
    if not found:
        return set()
    entries = {entry for _, _, entry in found if entry is not None}
    publishers = _publishers(device, entries)
    keyed = [((name, publishers.get(entry, "")), version, entry) for name, version, entry in found]
    over = Q(catalogue_id__in=entries)  # also under a name that the entry no longer has
    for (name, publisher), version, _ in keyed:
        if version is None:
            over |= Q(name=name, publisher=publisher)
    InstalledSoftware.objects.filter(over, device=device).delete()
    there = {key: (version, entry) for key, version, entry in keyed if version is not None}
    InstalledSoftware.objects.bulk_create(
        [
            InstalledSoftware(
                device_id=device, name=name, publisher=publisher, version=version,
                catalogue_id=entry, seen_at=now,
            )
            for (name, publisher), (version, entry) in there.items()
        ],
        update_conflicts=True,
        unique_fields=["device", "name", "publisher"],
        update_fields=["version", "catalogue_id", "seen_at"],
    )  # fmt: skip
    return entries


def _publishers(device: UUID, entries: set[UUID]) -> dict[UUID | None, str]:
    """Who publishes each entry: as the catalogue says, or said when the device last had the entry."""
    if not entries:
        return {}
    kept = InstalledSoftware.objects.filter(device=device, catalogue_id__in=entries)
    known = Software.objects.filter(pk__in=entries)
    return {
        **dict(kept.values_list("catalogue_id", "publisher")),
        **dict(known.values_list("pk", "publisher")),
    }


def _entries(detail: Mapping[str, Any]) -> Iterable[tuple[str, str | None, UUID | None]]:
    listed = detail.get("installed")
    for one in listed[:MOST_PER_RUN] if isinstance(listed, list) else []:
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            continue
        version = one.get("version")
        if version is None or isinstance(version, str):
            name = one["name"].replace("\0", "")[:200]
            yield name, version and version.replace("\0", "")[:200], _id(one.get("id"))


def _id(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
