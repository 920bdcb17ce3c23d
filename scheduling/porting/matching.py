"""Which task an entry means, whose it is, and which devices and groups it names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from devices.models import Device, DeviceGroup
from scheduling.models import ScheduledTask
from scheduling.porting.entries import Entry, Named

if TYPE_CHECKING:
    Target = type[Device] | type[DeviceGroup]

MOST_NAMED = 5


class Owners:
    """Whose task each entry is going to be: the one it names, else the importing person."""

    def __init__(self, entries: Iterable[Entry], user: User) -> None:
        self._user = user
        wanted = {entry.owner for entry in entries if entry.owner}
        people = User.objects.filter(username__in=wanted) if user.is_superuser else [user]
        self._people = {person.get_username(): person for person in people}

    def of(self, entry: Entry) -> User:
        """The importing person, and noted in the entry, where it cannot be theirs."""
        if entry.owner is None:
            return self._user
        if not self._user.is_superuser and entry.owner != self._user.get_username():
            entry.add_error("owner", _("Only an administrator imports another person's tasks."))
            return self._user
        owner = self._people.get(entry.owner)
        if owner is None:
            entry.add_error("owner", _("There is no account “%s”.") % entry.owner)
        return owner or self._user


class Tasks:
    """The tasks that the entries mean: by their id first, else by a name their owner has once."""

    def __init__(self, entries: list[Entry], owners: dict[int, User], user: User) -> None:
        visible = ScheduledTask.objects.visible_to(user).listed().select_related("user")
        self.visible = visible.prefetch_related("dependencies")
        ids = [entry.id for entry in entries if entry.id]
        self._by_id = {task.pk: task for task in self.visible.filter(pk__in=ids)}
        self._taken = set(ScheduledTask.objects.filter(pk__in=ids).values_list("pk", flat=True))
        self._owners = owners
        self._entries_of_id = Counter(ids)
        unknown = [one for one in entries if one.id not in self._by_id]
        self._entries_of_name = Counter(self._key(one) for one in unknown)
        self._nameless = {self._key(one) for one in unknown if one.id is None}
        self._by_name = self._named(unknown)

    def of(self, entry: Entry) -> ScheduledTask | None:
        """None for a new task, and where it cannot be told: then the entry says so."""
        if entry.id and self._entries_of_id[entry.id] > 1:
            entry.add_error("id", _("Another entry has the same id."))
            return None
        if entry.id in self._by_id:
            return self._by_id[entry.id]
        found = self._by_name.get(self._key(entry), [])
        if self._entries_of_name[self._key(entry)] > 1 and (
            found or self._key(entry) in self._nameless
        ):
            entry.add_error("name", _("Another entry has the same name; both need their ids."))
        elif len(found) > 1:
            listed = ", ".join(str(task.pk) for task in found[:MOST_NAMED])
            entry.add_error("name", _("May mean any of %s; give the id.") % listed)
        return found[0] if len(found) == 1 else None

    def free_id(self, entry: Entry) -> UUID | None:
        """The entry's id, where no task has it: a new task is to keep it."""
        return None if entry.id in self._taken else entry.id

    def _key(self, entry: Entry) -> tuple[int, str]:
        return self._owners[entry.number].pk, entry.name

    def _named(self, entries: list[Entry]) -> dict[tuple[int, str], list[ScheduledTask]]:
        keys = {self._key(entry) for entry in entries}
        candidates = self.visible.filter(
            user__in={owner for owner, _name in keys}, name__in={name for _owner, name in keys}
        ).exclude(pk__in=self._by_id)
        found: dict[tuple[int, str], list[ScheduledTask]] = defaultdict(list)
        for task in candidates:
            found[task.user_id, task.name].append(task)
        return found


class Targets:
    """Devices or groups by id, else by a name that only one of those this person may use has."""

    def __init__(self, model: Target, named: Iterable[Named], user: User) -> None:
        wanted = list(named)
        usable = _usable(model, user).filter(
            Q(pk__in={one.id for one in wanted if one.id})
            | Q(name__in={one.name for one in wanted if one.name})
        )
        self._names: dict[str, str] = {}
        self._ids: dict[str, list[str]] = defaultdict(list)
        for pk, name in usable.values_list("pk", "name"):
            self._names[str(pk)] = name
            self._ids[name].append(str(pk))

    def resolve(self, named: Iterable[Named], kept: Iterable[str]) -> list[str]:
        """Their ids. `kept` are those a task has already, though they may not be usable any more.

        Raises ValueError with a line for each that cannot be told.
        """
        known = set(kept)
        found, wrong = [], []
        for one in named:
            try:
                found.append(self._resolve(one, known))
            except ValueError as error:
                wrong.append(str(error))
        if wrong:
            more = (
                [_("and %s more.") % (len(wrong) - MOST_NAMED)] if len(wrong) > MOST_NAMED else []
            )
            raise ValueError(" ".join([*wrong[:MOST_NAMED], *more]))
        return found

    def _resolve(self, one: Named, kept: set[str]) -> str:
        if one.id is not None and one.id in self._names:
            actual = self._names[one.id]
            if one.name not in (None, actual):
                words = {"id": one.id, "actual": actual, "name": str(one.name)}
                raise ValueError(_("%(id)s is “%(actual)s” here, not “%(name)s”.") % words)
            return one.id
        if one.id is not None and one.id in kept:
            return one.id
        found = self._ids.get(one.name, []) if one.name else []
        if not found:
            raise ValueError(_("Not found: %s.") % one)
        if len(found) > 1:
            words = {"name": str(one), "ids": ", ".join(found[:MOST_NAMED])}
            raise ValueError(_("“%(name)s” may mean any of %(ids)s; give the id.") % words)
        return found[0]


def _usable(model: Target, user: User) -> QuerySet[Any]:
    if model is Device:
        return Device.objects.visible_to(user).present()
    return DeviceGroup.objects.visible_to(user)
