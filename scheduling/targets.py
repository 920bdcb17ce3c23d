"""Whom a task reaches, for people: in names, and in numbers as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, Q

from devices.models import Device, DeviceGroup

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models import ScheduledTask

MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Reach:
    """Devices that a run opened now would go to, each counted once."""

    devices: int
    offline: int


@dataclass(frozen=True, slots=True)
class Named:
    """A target in a summary; `pk` serves as a link."""

    pk: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Groups and devices by name, a few of each; `more` counts those left out or not to be seen."""

    groups: list[Named]
    devices: list[Named]
    more_groups: int
    more_devices: int


def reach(device_ids: Collection[Any], group_ids: Collection[Any]) -> Reach:
    if not device_ids and not group_ids:
        return Reach(0, 0)
    wanted = Q(pk__in=device_ids)
    if group_ids:
        members = DeviceGroup.devices.through.objects.filter(devicegroup__in=group_ids)
        wanted |= Q(pk__in=members.values("device"))
    counted = (
        Device.objects.present()
        .filter(wanted)
        .aggregate(devices=Count("pk"), offline=Count("pk", filter=Q(is_online=False)))
    )
    return Reach(**counted)


def summaries(tasks: Iterable[ScheduledTask], user: User) -> dict[UUID, Summary]:
    """The summary of each task, in two queries; names only of what this person may see."""
    listed = list(tasks)
    groups = _names(DeviceGroup.objects.visible_to(user), [task.group_ids for task in listed])
    devices = _names(Device.objects.visible_to(user), [task.device_ids for task in listed])
    return {task.pk: _summary(task, groups, devices) for task in listed}


def _names(queryset: Any, id_lists: Iterable[Sequence[str]]) -> dict[str, Named]:
    wanted = {one for ids in id_lists for one in ids[:MOST_NAMES]}
    if not wanted:
        return {}
    rows = queryset.filter(pk__in=wanted).values_list("pk", "name")
    return {str(pk): Named(pk, name) for pk, name in rows}


def _summary(task: ScheduledTask, groups: dict[str, Named], devices: dict[str, Named]) -> Summary:
    shown_groups = [groups[one] for one in task.group_ids[:MOST_NAMES] if one in groups]
    shown_devices = [devices[one] for one in task.device_ids[:MOST_NAMES] if one in devices]
    return Summary(
        shown_groups,
        shown_devices,
        len(task.group_ids) - len(shown_groups),
        len(task.device_ids) - len(shown_devices),
    )
