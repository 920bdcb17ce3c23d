"""Groups by query: their members are rows like those of any group, brought up to date when a run opens,
when the query changes, and once a minute."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import DataError, transaction
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts import telling
from accounts.database import is_away
from devices import queries
from devices.models import Device, DeviceGroup

log = structlog.get_logger(__name__)
MOST_NAMED = 5
STALE_AFTER = timedelta(minutes=1)
BATCH = 1_000


def refresh_named(group_ids: Collection[Any]) -> None:
    """Those of these groups that are by query; the caller is about to read their members. Waits for
    whoever is refreshing one at this very moment: what they found may be older."""
    if group_ids:
        with transaction.atomic():
            # By their ids, as everybody who locks several.
            rows = DeviceGroup.objects.by_query().filter(pk__in=group_ids).order_by("pk")
            for group in rows.select_for_update(no_key=True):
                _bring_up_to_date(group)


def refresh_stale(now: datetime | None = None) -> int:
    """Those nobody looked at for a minute; how many memberships came or went."""
    before = (now or timezone.now()) - STALE_AFTER
    is_stale = Q(refreshed_at=None) | Q(refreshed_at__lt=before)
    stale = DeviceGroup.objects.by_query().filter(is_stale)
    changed = 0
    for pk in list(stale.values_list("pk", flat=True)):
        try:
            changed += _refresh_if_free(pk)
        except Exception as error:
            if is_away(error):
                raise
            log.exception("group_not_refreshed", group=str(pk))
    return changed


def finding(device_id: UUID, groups: Iterable[DeviceGroup]) -> set[UUID]:
    """Those of these groups by query that find this device now, whoever their members are."""
    return {group.pk for group in groups if _finds(group, device_id)}


def _finds(group: DeviceGroup, device_id: UUID) -> bool:
    try:
        with transaction.atomic():
            return bool(found(group.query).filter(pk=device_id).exists())
    except (queries.BadQuery, DataError):
        return False


def found(query: str) -> Any:
    """The devices a query finds, as a queryset. Raises queries.BadQuery."""
    return Device.objects.present().filter(queries.parse(query))


@transaction.atomic
def _refresh_if_free(pk: UUID) -> int:
    rows = DeviceGroup.objects.select_for_update(no_key=True, skip_locked=True)
    group = rows.by_query().filter(pk=pk).first()
    return 0 if group is None else _bring_up_to_date(group)


def _bring_up_to_date(group: DeviceGroup) -> int:
    """Leaves the members as they are where the query, checked when it was written, is no longer read by
    this version of the language, or finds something in a device that the database cannot compare."""
    try:
        with transaction.atomic():
            return _write_members(group)
    except (queries.BadQuery, DataError) as problem:
        log.error("group_query_unreadable", group=str(group.pk), why=str(problem))
        return 0


def _write_members(group: DeviceGroup) -> int:
    wanted = found(group.query)
    through = DeviceGroup.devices.through
    members = through.objects.filter(devicegroup=group.pk)
    gone, _by_model = members.exclude(device__in=wanted.values("pk")).delete()
    new: list[UUID] = list(
        wanted.exclude(pk__in=members.values("device")).values_list("pk", flat=True)
    )
    through.objects.bulk_create(
        [through(devicegroup_id=group.pk, device_id=device) for device in new],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    DeviceGroup.objects.filter(pk=group.pk).update(refreshed_at=timezone.now())
    if gone or new:
        telling.changed("group", [group.pk])
    return gone + len(new)


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one group: devices that are not revoked, those of them online, and people."""

    devices: int = 0
    online: int = 0
    people: int = 0


def counted(groups: Iterable[DeviceGroup]) -> list[tuple[DeviceGroup, Counts]]:
    """Each with its counts, in two queries over the members of these groups alone."""
    shown = list(groups)
    members = DeviceGroup.devices.through.objects.filter(
        devicegroup__in=shown, device__revoked_at=None
    )
    online = Count("pk", filter=Q(device__is_online=True))
    rows = members.values_list("devicegroup").annotate(total=Count("pk"), online=online)
    devices = {pk: (total, there) for pk, total, there in rows}
    having = DeviceGroup.people.through.objects.filter(devicegroup__in=shown)
    people = dict(having.values_list("devicegroup").annotate(total=Count("pk")))
    return [(one, Counts(*devices.get(one.pk, (0, 0)), people.get(one.pk, 0))) for one in shown]


@dataclass(slots=True)
class Named:
    """Of one device: its first groups by name, and how many more it is in."""

    groups: list[DeviceGroup] = field(default_factory=list)
    more: int = 0


def named(
    devices: Iterable[Device], groups: Any, most: int = MOST_NAMED
) -> list[tuple[Device, Named]]:
    """Each with those of these groups it is in; one query, of which `most` rows a device come back."""
    shown = list(devices)
    members = DeviceGroup.devices.through.objects.filter(device__in=shown, devicegroup__in=groups)
    each = F("device")
    numbered: Any = members.annotate(
        place=Window(RowNumber(), partition_by=each, order_by="devicegroup__name"),
        total=Window(Count("pk"), partition_by=each),
    )
    rows = numbered.filter(place__lte=most).select_related("devicegroup")
    found = {one.pk: Named() for one in shown}
    for row in rows.order_by("device", "place"):
        mine = found[row.device_id]
        mine.groups.append(row.devicegroup)
        mine.more = row.total - len(mine.groups)
    return [(one, found[one.pk]) for one in shown]
