from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from devices.models import Device
from scheduling import heartbeats, reconcile
from scheduling.models import ServiceHeartbeat


def test_a_web_process_in_the_place_of_a_killed_one_has_just_started(web_device: Device) -> None:
    now = timezone.now()
    Device.objects.filter(pk=web_device.pk).update(last_seen_at=now - timedelta(seconds=61))
    heartbeats.record("web", "of-a-container:1")
    ServiceHeartbeat.objects.update(
        started_at=now - timedelta(days=1), seen_at=now - timedelta(seconds=70)
    )
    heartbeats.begin("web", "of-a-container:1")
    assert reconcile.sweep_presence() == 0


def test_a_heartbeat_is_no_start(web_device: Device) -> None:
    now = timezone.now()
    Device.objects.filter(pk=web_device.pk).update(last_seen_at=now - timedelta(seconds=61))
    heartbeats.begin("web", "of-a-container:1")
    ServiceHeartbeat.objects.update(started_at=now - timedelta(seconds=91))
    heartbeats.record("web", "of-a-container:1")
    assert reconcile.sweep_presence() == 1
