"""Entries against the rules of a task's input, with the rights of the person who imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from accounts.errors import InvalidInput, NotAllowed
from devices.models import Device, DeviceGroup
from scheduling import definitions
from scheduling.models import ScheduledTask
from scheduling.porting.entries import Named
from scheduling.porting.linking import Target
from scheduling.porting.matching import Targets

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# The names here of what the API calls otherwise.
WRITTEN_AS = {"device_ids": "devices", "group_ids": "groups", "user_id": "owner"}


@dataclass(frozen=True, slots=True)
class Checked:
    """The input for the verbs, and the values it comes to."""

    data: dict[str, Any]
    values: dict[str, Any]


def check(targets: Sequence[Target], user: User, now: datetime) -> dict[int, Checked]:
    """By the entries' numbers; what is wrong is noted in the entries, which are then left out."""
    devices = Targets(Device, _named(targets, "devices"), user)
    groups = Targets(DeviceGroup, _named(targets, "groups"), user)
    checked: dict[int, Checked] = {}
    for one in targets:
        data = {
            **one.entry.data,
            "device_ids": _resolved(one, "devices", devices),
            "group_ids": _resolved(one, "groups", groups),
        }
        if one.task is not None and one.task.user_id != one.owner.pk:
            data["user_id"] = one.owner.pk
        values = _values(one, data, user, now)
        if values is not None:
            checked[one.entry.number] = Checked(data, values)
    return checked


def _named(targets: Sequence[Target], name: str) -> list[Named]:
    return [named for one in targets for named in getattr(one.entry, name)]


def _resolved(one: Target, name: str, known: Targets) -> list[str]:
    kept: list[str] = getattr(one.task, f"{name[:-1]}_ids") if one.task else []
    try:
        return known.resolve(getattr(one.entry, name), kept)
    except ValueError as error:
        one.entry.add_error(name, str(error))
        return []


def _values(one: Target, data: dict[str, Any], user: User, now: datetime) -> dict[str, Any] | None:
    if one.entry.created_at is not None and one.entry.created_at > now:
        one.entry.add_error("created_at", _("must not lie in the future."))
    made_at = None if one.task else one.entry.created_at or now
    try:
        found = definitions.check(data, user=user, now=now, task=one.task, made_at=made_at)
    except InvalidInput as refusal:
        _note(one, refusal.errors)
    except NotAllowed as refusal:
        one.entry.add_error("devices", refusal.detail)
    else:
        return found.values
    return None


def _note(one: Target, errors: dict[str, list[str]]) -> None:
    """Without what follows from devices or groups that were not found."""
    has_wrong_targets = not {"devices", "groups"}.isdisjoint(one.entry.errors)
    for name, messages in errors.items():
        if has_wrong_targets and name in ("device_ids", "group_ids"):
            continue
        for message in messages:
            one.entry.add_error(WRITTEN_AS.get(name, name), message)


def stored(task: ScheduledTask) -> dict[str, Any]:
    """The values of a task that is there, as `Checked.values` has them."""
    given = definitions.as_input(task)
    del given["depends_on"]
    return given | {"user_id": task.user_id}
