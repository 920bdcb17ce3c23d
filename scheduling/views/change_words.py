"""Who changed what of a task, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.pages import identifier
from accounts.templatetags.pages import EXACT, span
from devices.models import Device, DeviceGroup
from scheduling import lost_kinds, recurrence
from scheduling.forms.options import STRATEGY_LABELS, OptionsForm
from scheduling.forms.task import BasicsForm
from scheduling.models import ScheduledTask, Software, StoredFile, TaskChange

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

LABELS: dict[str, Any] = {
    "schedule": gettext_lazy("Schedule"),
    "device_ids": gettext_lazy("Devices"),
    "group_ids": gettext_lazy("Groups"),
    "depends_on": gettext_lazy("Runs after"),
    "user_id": gettext_lazy("Owner"),
    **{name: field.label for name, field in BasicsForm.base_fields.items()},
    **{name: field.label for name, field in OptionsForm.base_fields.items()},
}
WORDS: dict[str, dict[str, Any]] = {
    "misfire_policy": dict(ScheduledTask.MisfirePolicy.choices),
    "overlap_policy": dict(ScheduledTask.OverlapPolicy.choices),
    "offline_policy": dict(ScheduledTask.OfflinePolicy.choices),
    "strategy": dict(STRATEGY_LABELS),
}
NAMED: dict[str, Callable[[Any], Any]] = {
    "device_ids": lambda user: Device.objects.visible_to(user).only("name"),
    "group_ids": lambda user: DeviceGroup.objects.visible_to(user).only("name"),
    "depends_on": lambda user: ScheduledTask.objects.visible_to(user).only("name"),
    "task_payload.file_ids": StoredFile.objects.visible_to,
    "task_payload.software_ids": Software.objects.visible_to,
}
MOST_LOOKED_AT = 50
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what came into a list, or left it; `more` are not named."""

    names: list[str]
    more: int


@dataclass(frozen=True, slots=True)
class Line:
    """One field's change: `old` and `new`, or of a list what was `added` and `removed`."""

    label: str
    old: str = ""
    new: str = ""
    added: Part | None = None
    removed: Part | None = None


def lines(task: ScheduledTask, change: TaskChange, names: Names) -> list[Line]:
    """What was changed, field by field; `names` of what is listed by id, those that this person may
    see."""
    return [_line(task, one, names) for one in change.fields]


def latest(
    task: ScheduledTask, paths: Iterable[str], user: User
) -> list[tuple[TaskChange, list[Line]]]:
    """The newest change of each of these fields, and what it made of them alone."""
    wanted, found = set(paths), []
    for change in task.changes.select_related("user").exclude(fields=[])[:MOST_LOOKED_AT]:
        change.fields = [one for one in change.fields if one["field"] in wanted]
        wanted -= {one["field"] for one in change.fields}
        if change.fields:
            found.append(change)
    names = names_of(found, user)
    return [(one, lines(task, one, names)) for one in found]


def _line(task: ScheduledTask, one: Mapping[str, Any], names: Names) -> Line:
    path = one["field"]
    if "added" in one:
        added, removed = (_part(path, one[name], names) for name in ("added", "removed"))
        return Line(label(task, path), added=added, removed=removed)
    return Line(label(task, path), _value(path, one["old"]), _value(path, one["new"]))


def _part(path: str, given: Mapping[str, Any], names: Names) -> Part | None:
    if not given["count"]:
        return None
    shown = [said for one in given["some"] if (said := _item(path, one, names))]
    return Part(shown, given["count"] - len(shown))


def _item(path: str, item: str, names: Names) -> str:
    """Text for itself, an id by its name; empty where this person may not know it."""
    pk = item.rpartition(" ")[2] if path == "depends_on" else item
    return names.get(pk, "") if identifier(pk) else item


def label(task: ScheduledTask, path: str) -> str:
    """What people call a field."""
    group, _dot, rest = path.partition(".")
    if group != "task_payload":
        return str(LABELS.get(rest or group, path))
    name, _dot, inner = rest.partition(".")
    kind = lost_kinds.find(task.task_type)
    fields = {field.name: field.label for field in kind.form_fields()} if kind else {}
    said = _(fields[name]) if name in fields else name
    return f"{said}: {inner}" if inner else said


def _value(path: str, value: Any) -> str:
    name = path.rpartition(".")[2]
    if value in (None, "", []):
        return "–"
    if path == "schedule":
        return sentence(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name in WORDS:
        return str(WORDS[name].get(value, value))
    if name.endswith("_seconds") and isinstance(value, int):
        return span(value)
    if name in ("start_at", "end_at"):
        return date_format(datetime.fromisoformat(value).astimezone(UTC), EXACT) + " UTC"
    return str(value)


def sentence(schedule: Mapping[str, Any]) -> str:
    """A stored rule in words, or why it is none any more."""
    try:
        rule = recurrence.parse(
            schedule["recurrence_type"],
            schedule["recurrence_config"],
            schedule.get("time_zone", "UTC"),
            anchor=timezone.now(),
        )
    except recurrence.RuleError as error:
        return str(error)
    return str(capfirst(rule.sentence()))


def names_of(changes: Iterable[TaskChange], user: User) -> dict[str, str]:
    """Of what these changes list by its id, all that this person may see; a query for each sort."""
    wanted: dict[str, set[UUID]] = {}
    for one in (one for change in changes for one in change.fields if "added" in one):
        for item in (*one["added"]["some"], *one["removed"]["some"]):
            if pk := identifier(item.rpartition(" ")[2]):
                wanted.setdefault(one["field"], set()).add(pk)
    found: dict[str, str] = {}
    for path in wanted.keys() & NAMED.keys():
        visible = NAMED[path](user).filter(pk__in=wanted[path])
        found |= {str(one.pk): str(one) for one in visible}
    return found
