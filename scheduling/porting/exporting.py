"""Tasks as a document: everything a person may write into them, what has its default left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import prefetch_related_objects

from devices.models import Device, DeviceGroup
from scheduling import definitions
from scheduling.models import ScheduledTask
from scheduling.options import Retry, Rollout
from scheduling.porting.entries import VERSION

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_WRITTEN_ELSEWHERE = frozenset(["device_ids", "group_ids", "depends_on", "user_id"])
# They decide what the others mean, so they are there even where they have their default.
_ALWAYS = frozenset([*definitions.REQUIRED, "time_zone"])
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "rollout": Rollout.defaults(),
    "retry": Retry.defaults(),
}
Names = Mapping[str, str]


def document_of(tasks: Iterable[ScheduledTask], user: User) -> dict[str, Any]:
    """The document that makes equal tasks of an empty system. Names stand beside ids where this
    person may see them."""
    listed = sorted(tasks, key=lambda task: task.pk)
    prefetch_related_objects(listed, "user", "dependencies")
    devices = _names(Device, {one for task in listed for one in task.device_ids}, user)
    groups = _names(DeviceGroup, {one for task in listed for one in task.group_ids}, user)
    parents = {str(one.parent_id) for task in listed for one in task.dependencies.all()}
    names = _names(ScheduledTask, parents, user)
    return {
        "version": VERSION,
        "tasks": [_entry(task, devices, groups, names) for task in listed],
    }


def _names(
    model: type[Device] | type[DeviceGroup] | type[ScheduledTask], ids: set[str], user: User
) -> Names:
    found = model.objects.visible_to(user).filter(pk__in=ids).values_list("pk", "name")
    return {str(pk): name for pk, name in found}


def _entry(task: ScheduledTask, devices: Names, groups: Names, tasks: Names) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": str(task.pk),
        "name": task.name,
        "owner": task.user.get_username(),
        "created_at": _instant(task.created_at),
    }
    if task.is_paused:
        entry["paused"] = True
    entry |= _input_of(task)
    lists = {
        "devices": [_named(one, devices, "id", "name") for one in task.device_ids],
        "groups": [_named(one, groups, "id", "name") for one in task.group_ids],
        "depends_on": [
            {**_named(str(one.parent_id), tasks, "task_id", "task_name"), "on": one.on}
            for one in sorted(task.dependencies.all(), key=lambda one: one.parent_id)
        ],
    }
    return entry | {name: listed for name, listed in lists.items() if listed}


def _input_of(task: ScheduledTask) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, stored in definitions.as_input(task).items():
        if name in _WRITTEN_ELSEWHERE:
            continue
        value = _without_defaults(stored, _OPTIONS[name]) if name in _OPTIONS else stored
        default = definitions.DEFAULTS[name]() if name in definitions.DEFAULTS else None
        if name in _ALWAYS or value != default:
            given[name] = _instant(value) if isinstance(value, datetime) else value
    return given


def _without_defaults(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value != defaults.get(name)}


def _named(one: str, names: Names, id_key: str, name_key: str) -> dict[str, str]:
    return {id_key: one, **({name_key: names[one]} if one in names else {})}


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
