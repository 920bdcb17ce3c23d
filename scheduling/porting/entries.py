"""The shape of a document: its entries, each field that is not a task's own input taken out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from accounts import fields
from accounts.errors import InvalidInput
from scheduling.models import TaskDependency

VERSION = 1
Errors = dict[str, list[str]]
# What the API has under another name: ids alone would mean nothing on another system.
_WRITTEN_AS = {"device_ids": "devices", "group_ids": "groups", "user_id": "owner"}


@dataclass(frozen=True, slots=True)
class Named:
    """Something by its id and its name, or by one of them."""

    id: str | None
    name: str | None

    def __str__(self) -> str:
        return self.name or self.id or ""


@dataclass(frozen=True, slots=True)
class After:
    """The task named starts this one when an execution of it ends like `on`."""

    task: Named
    on: str


@dataclass(slots=True)
class Entry:
    """`data` has the fields of a task's input; `errors` what is wrong with this entry by field."""

    number: int
    data: dict[str, Any]
    id: UUID | None = None
    owner: str | None = None
    created_at: datetime | None = None
    paused: bool | None = None
    devices: list[Named] = field(default_factory=list)
    groups: list[Named] = field(default_factory=list)
    depends_on: list[After] = field(default_factory=list)
    errors: Errors = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is going to be stored; nothing where there is no text."""
        name = self.data.get("name")
        return name.strip() if isinstance(name, str) else ""

    @property
    def label(self) -> str:
        words = {"number": self.number, "name": self.name[:60]}
        return (_("entry %(number)s “%(name)s”") if self.name else _("entry %(number)s")) % words

    def add_error(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)


def parse(document: object) -> list[Entry]:
    """The entries, each with what is wrong about its shape. Raises InvalidInput for a document
    that is none."""
    if not isinstance(document, dict):
        raise InvalidInput({"document": [_("must have “version” and “tasks”.")]})
    errors: Errors = {}
    for name in document.keys() - {"version", "tasks"}:
        errors[name[:100]] = [_("This field is not known.")]
    version, tasks = document.get("version"), document.get("tasks")
    if type(version) is not int or version != VERSION:
        errors["version"] = [_("must be %s.") % VERSION]
    if not isinstance(tasks, list):
        errors["tasks"] = [_("must be a list.")]
    if errors or not isinstance(tasks, list):
        raise InvalidInput(errors)
    return [_entry(number, one) for number, one in enumerate(tasks, 1)]


def refuse_wrong(entries: list[Entry]) -> None:
    """Raises InvalidInput naming every wrong entry and field at once."""
    errors = {
        f"{entry.label}, {name}": messages
        for entry in entries
        for name, messages in entry.errors.items()
    }
    if errors:
        raise InvalidInput(errors)


def _entry(number: int, given: object) -> Entry:
    if not isinstance(given, dict):
        return Entry(number, {}, errors={"entry": [_("must have the fields of a task.")]})
    entry = Entry(number, {name: value for name, value in given.items() if name not in _CHECKS})
    for name, written in _WRITTEN_AS.items():
        if name in entry.data:
            del entry.data[name]
            entry.add_error(name, _("is written as “%s” here.") % written)
    own = {name: value for name, value in given.items() if name in _CHECKS}
    for name, value in fields.checked(_CHECKS, own, entry.errors).items():
        setattr(entry, name, value)
    return entry


def _task_id(value: object) -> UUID:
    try:
        found = UUID(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.version != 7:
        raise ValueError(_("must be the id of a task; leave it out for a new one."))
    return found


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("must be true or false."))
    return value


def _made_at(value: object) -> datetime:
    moment: datetime | None = fields.instant(value)
    if moment is None:
        raise ValueError(_("must be an instant with Z or an offset."))
    return moment


def _targets(value: object) -> list[Named]:
    if not isinstance(value, list):
        raise ValueError(_("must be a list."))
    return [_named(one, "id", "name", {"id", "name"}) for one in value]


def _dependencies(value: object) -> list[After]:
    if not isinstance(value, list):
        raise ValueError(_("must be a list."))
    known = {"task_id", "task_name", "on"}
    on = fields.one_of(TaskDependency.On.values)
    found = []
    for one in value:
        named = _named(one, "task_id", "task_name", known)
        try:
            found.append(After(named, on(one.get("on"))))
        except ValueError as error:
            raise ValueError(f"on: {error}") from None
    return found


def _named(value: object, id_key: str, name_key: str, known: set[str]) -> Named:
    words = {"keys": ", ".join(sorted(known))}
    if not isinstance(value, dict) or not value.keys() <= known:
        raise ValueError(_("each entry may have %(keys)s, and nothing else.") % words)
    one = Named(value.get(id_key), value.get(name_key))
    if not (one.id or one.name):
        raise ValueError(
            _("each entry needs %(id)s or %(name)s.") % {"id": id_key, "name": name_key}
        )
    if any(given is not None and not isinstance(given, str) for given in (one.id, one.name)):
        raise ValueError(_("an id and a name are text."))
    if one.id:
        (identifier,) = fields.identifiers(1)([one.id])
        return Named(identifier, one.name)
    return one


_CHECKS: dict[str, fields.Check] = {
    "id": _task_id,
    "owner": fields.text(150, shortest=1, one_line=True),
    "created_at": _made_at,
    "paused": _flag,
    "devices": _targets,
    "groups": _targets,
    "depends_on": _dependencies,
}
