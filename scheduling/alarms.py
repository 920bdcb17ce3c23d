"""Alarms: what a device's journal says against this server's rows, kept until people have seen it.

Each is one row however often the device repeats it, and a line in the log the first time.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
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
    now = clock.now()
    mine = Alarm.objects.filter(kind=kind, device=device, run_id__in=run_ids)
    known = set(mine.values_list("run_id", flat=True))
    Alarm.objects.bulk_create(
        [
            Alarm(
                kind=kind,
                device=device,
                device_name=device.name,
                run_id=run_id,
                first_seen_at=now,
                last_seen_at=now,
            )
            for run_id in sorted(run_ids)
        ],
        update_conflicts=True,
        unique_fields=["device", "run_id", "kind"],
        update_fields=["last_seen_at"],
    )
    live.changed("device", [device.pk])
    for run_id in sorted(set(run_ids) - known):
        log.error("alarm", kind=str(kind), device=str(device.pk), run=str(run_id))
