"""Alarms: what a device's journal says against this server's rows, kept until people have seen it.

Each is one row however often the device repeats it, and a line in the log the first time: one for all
that a device says at once. Of runs unknown here a device has so many rows, and one that counts the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from scheduling import clock, live
from scheduling.models import Alarm, DeviceRun
from scheduling.models.alarm import AlarmQuerySet

if TYPE_CHECKING:
    from uuid import UUID

    from devices.models import Device

log = structlog.get_logger(__name__)
RECENT = timedelta(days=7)
MOST_UNKNOWN = 100


def ran_before_its_start(run: DeviceRun) -> None:
    _raise(Alarm.Kind.BEFORE_ITS_START, run.device, [run.pk])


def ran_after_its_end(run: DeviceRun) -> None:
    _raise(Alarm.Kind.AFTER_ITS_END, run.device, [run.pk])


def unknown_runs(device: Device, run_ids: Collection[UUID]) -> None:
    _raise(Alarm.Kind.UNKNOWN_RUN, device, run_ids)


def recent() -> AlarmQuerySet:
    """What devices have said within a week, latest first."""
    return Alarm.objects.filter(last_seen_at__gte=clock.now() - RECENT)


def _raise(kind: Alarm.Kind, device: Device | None, run_ids: Collection[UUID]) -> None:
    # A run that its own device speaks of has one.
    assert device is not None
    if not run_ids:
        return
    known = set(_of(device, kind).filter(run_id__in=run_ids).values_list("run_id", flat=True))
    new = sorted(set(run_ids) - known)
    kept, beyond = new, []
    if kind == Alarm.Kind.UNKNOWN_RUN:
        # Runs it makes up are without end.
        room = max(MOST_UNKNOWN - _of(device, kind).count(), 0)
        kept, beyond = new[:room], new[room:]
    now = clock.now()
    Alarm.objects.bulk_create(
        [_alarm(kind, device, run_id, now) for run_id in sorted([*known, *kept])],
        update_conflicts=True,
        unique_fields=["device", "run_id", "kind"],
        update_fields=["last_seen_at"],
    )
    is_news = _count_beyond(device, beyond, now) or bool(kept)
    live.changed("device", [device.pk])
    if is_news:
        log.error("alarm", kind=str(kind), device=str(device.pk), run=str(new[0]), runs=len(new))


def _count_beyond(device: Device, run_ids: Sequence[UUID], now: datetime) -> bool:
    """One row for all that have none of their own; whether there are more or less than before."""
    if not run_ids:
        return False
    rest = _of(device, Alarm.Kind.MORE_UNKNOWN)
    before = rest.values_list("number", flat=True).first()
    told = {"run_id": run_ids[0], "number": len(run_ids), "last_seen_at": now}
    if not rest.update(**told):
        _alarm(Alarm.Kind.MORE_UNKNOWN, device, run_ids[0], now, number=len(run_ids)).save()
    return before != len(run_ids)


def _of(device: Device, kind: Alarm.Kind) -> AlarmQuerySet:
    return Alarm.objects.filter(kind=kind, device=device)


def _alarm(
    kind: Alarm.Kind, device: Device, run_id: UUID, now: datetime, *, number: int = 1
) -> Alarm:
    return Alarm(
        kind=kind,
        device=device,
        device_name=device.name,
        run_id=run_id,
        number=number,
        first_seen_at=now,
        last_seen_at=now,
    )
