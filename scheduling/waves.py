"""Which device runs in which wave of a rollout. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from devices.models import Device
from scheduling.options import Rollout, amount_of


def assign(rollout: Rollout, devices: Sequence[Device]) -> Iterator[tuple[Device, int]]:
    """Each device with its wave, from 1. Devices online now fill the early waves first."""
    ordered = sorted(devices, key=lambda device: (not device.is_online, device.name, device.pk))
    sizes = wave_sizes(rollout, len(ordered))
    wave, room = 1, sizes[0]
    for device in ordered:
        if room == 0:
            wave, room = wave + 1, sizes[min(wave, len(sizes) - 1)]
        room -= 1
        yield device, wave


def wave_sizes(rollout: Rollout, total: int) -> list[int]:
    """The sizes of the waves; the last repeats for as long as devices are left."""
    if rollout.strategy == "rolling":
        return [amount_of(rollout.batch_size, total)]
    if rollout.strategy == "canary":
        return [amount_of(rollout.canary_size, total), max(1, total)]
    if rollout.strategy == "blue_green":
        return [max(1, (total + 1) // 2), max(1, total)]
    return [max(1, total)]
