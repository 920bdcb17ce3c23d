"""Who is there: seen within a minute is online. Offline is only a word; it changes no run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from devices.models import Device

if TYPE_CHECKING:
    from devices.models.device import DeviceQuerySet

OFFLINE_AFTER_SECONDS = 60
QUIET_AFTER_WEB_START_SECONDS = 90
"""Every agent had to reconnect to a new web process; until they have, silence means nothing."""

# A row that somebody holds is left for the next time, a second later: nobody waits for presence.
_SEEN = """
    UPDATE devices_device AS device
    SET last_seen_at = statement_timestamp(), is_online = true,
        online_changed_at =
            CASE WHEN old.is_online THEN device.online_changed_at ELSE statement_timestamp() END
    FROM (SELECT id, is_online FROM devices_device
          WHERE id = ANY(%s) AND revoked_at IS NULL
          ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS old
    WHERE device.id = old.id
    RETURNING device.id, old.is_online
"""
_SWEEP = """
    UPDATE devices_device AS device
    SET is_online = false, online_changed_at = statement_timestamp()
    FROM (SELECT id FROM devices_device
          WHERE is_online AND last_seen_at < statement_timestamp() - make_interval(secs => %s)
          ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS silent
    WHERE device.id = silent.id
      AND (%s::timestamptz IS NULL
           OR %s::timestamptz < statement_timestamp() - make_interval(secs => %s))
    RETURNING device.id
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """`written` are the devices whose row now says so; `came_online` those that were offline."""

    written: set[UUID]
    came_online: set[UUID]


@dataclass(frozen=True, slots=True)
class Counts:
    online: int
    offline: int
    never_connected: int
    revoked: int

    @property
    def present(self) -> int:
        return self.online + self.offline + self.never_connected


def seen(devices: Collection[UUID]) -> Seen:
    """Writes that these devices were heard from just now. Revoked ones stay as they are."""
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, [list(devices)])
        rows = cursor.fetchall()
    return Seen({pk for pk, _ in rows}, {pk for pk, was_online in rows if not was_online})


def sweep(newest_web_start: datetime | None) -> list[UUID]:
    """Marks devices not heard from for 60 s as offline and answers which, except within 90 s of
    the start of any web process: `newest_web_start` is the latest one's, None if unknown."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SWEEP,
            [
                OFFLINE_AFTER_SECONDS,
                newest_web_start,
                newest_web_start,
                QUIET_AFTER_WEB_START_SECONDS,
            ],
        )
        return [pk for (pk,) in cursor]


def counts(devices: DeviceQuerySet | None = None) -> Counts:
    """Of these devices, or of all there are."""
    present = Q(revoked_at=None)
    devices = Device.objects.all() if devices is None else devices
    return Counts(
        **devices.aggregate(
            online=Count("pk", filter=present & Q(is_online=True)),
            offline=Count("pk", filter=present & Q(is_online=False, last_seen_at__isnull=False)),
            never_connected=Count("pk", filter=present & Q(last_seen_at=None)),
            revoked=Count("pk", filter=~present),
        )
    )
