from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from scheduling import attempts, clock, hints, live, recovery
from scheduling.models import DeviceRun


@transaction.atomic
def device_came_online(devices: Sequence[UUID]) -> None:
    """Asks a worker to give slots to what waited for these devices, and shows them as they are."""
    waiting = DeviceRun.objects.filter(device__in=devices, status__in=["pending", "queued"])
    affected = waiting.execution_ids()
    hints.advance(affected)
    live.changed("execution", affected)
    live.changed("device", devices)


@transaction.atomic
def device_revoked(device: UUID) -> None:
    """Ends a revoked device's runs: skipped where nothing ran, lost where something may have, as
    whatever it still had to tell of after a restore."""
    recovery.give_up_if_marked(device)
    now = clock.now()
    runs = DeviceRun.objects.filter(device=device)
    affected = runs.unended().execution_ids()
    runs.unstarted().move(
        DeviceRun.Status.SKIPPED, finished_at=now, error_message=_("The device was revoked.")
    )
    runs.filter(status="running").move(
        DeviceRun.Status.LOST,
        finished_at=now,
        was_lost=True,
        error_message=_("The device was revoked while this ran."),
    )
    # Of a device that is deleted, nothing says later which attempts were its own.
    attempts.give_back(affected, device)
    hints.advance(affected)
    live.changed("execution", affected)
    hints.wake_hubs()
    live.changed("device", [device])
