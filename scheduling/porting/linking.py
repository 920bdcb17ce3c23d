"""What the entries of a document run after: other entries, or tasks that are there already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from scheduling import dependencies
from scheduling.models import ScheduledTask
from scheduling.porting.entries import After, Entry, Named
from scheduling.porting.matching import Tasks

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# A task as a link names it: by its id, or by the number of the entry that is going to make it.
Ref = str


@dataclass(frozen=True, slots=True)
class Link:
    parent: Ref
    on: str


@dataclass(frozen=True, slots=True)
class Target:
    """An entry, with the task it means, if that is there already."""

    entry: Entry
    task: ScheduledTask | None
    owner: User

    @property
    def ref(self) -> Ref:
        return str(self.task.pk) if self.task else f"entry {self.entry.number}"


class Links:
    """Finds the tasks that entries run after, and the circles that would make."""

    def __init__(self, targets: Sequence[Target], tasks: Tasks, doomed: Collection[str]) -> None:
        self._doomed = doomed
        self._targets = targets
        self.names: dict[Ref, str] = {one.ref: one.entry.name for one in targets}
        self._by_id = {str(one.entry.id): one.ref for one in targets if one.entry.id}
        self._by_id |= {one.ref: one.ref for one in targets if one.task}
        self._by_name: dict[tuple[int, str], list[Ref]] = defaultdict(list)
        for one in targets:
            self._by_name[one.owner.pk, one.entry.name].append(one.ref)
        self._find_others(tasks)

    def of_all(self) -> dict[Ref, tuple[Link, ...]]:
        """What each entry runs after; what cannot be told, and a circle, is noted in its entry."""
        links: dict[Ref, tuple[Link, ...]] = {}
        for one in self._targets:
            try:
                links[one.ref] = self._of(one)
            except ValueError as error:
                links[one.ref] = ()
                one.entry.add_error("depends_on", str(error))
        if any(links.values()):
            self._note_circles(links)
        return links

    def _of(self, target: Target) -> tuple[Link, ...]:
        wanted = target.entry.depends_on
        dependencies.require_few(wanted)
        kept = {str(one.parent_id) for one in target.task.dependencies.all()} if target.task else ()
        links = [self._link(one, target.owner, kept) for one in wanted]
        if len({link.parent for link in links}) < len(links):
            raise ValueError(_("names a task twice."))
        return tuple(sorted(links, key=lambda link: link.parent))

    def _note_circles(self, links: Mapping[Ref, Sequence[Link]]) -> None:
        """Notes in one entry of each circle the path along it."""
        edges = {
            child: [parent for parent in parents if parent not in self._doomed]
            for child, parents in dependencies.graph().items()
            if child not in self._doomed
        }
        edges |= {ref: [link.parent for link in found] for ref, found in links.items()}
        entries = {one.ref: one.entry for one in self._targets}
        while circle := _circle(edges):
            first = next(ref for ref in circle if ref in entries)
            path = [self.names.get(ref, _("another person's task")) for ref in circle]
            entries[first].add_error("depends_on", dependencies.circle_in_words(path))
            edges[first] = []

    def _find_others(self, tasks: Tasks) -> None:
        """The tasks named that no entry means."""
        wanted = [after.task for one in self._targets for after in one.entry.depends_on]
        known = {one.task.pk for one in self._targets if one.task}
        visible = tasks.visible.exclude(pk__in=known)
        by_id = visible.filter(pk__in={one.id for one in wanted if one.id})
        by_name = visible.filter(
            name__in={one.name for one in wanted if one.name},
            user__in={one.owner.pk for one in self._targets},
        )
        others = {str(task.pk): task for task in [*by_id, *by_name]}
        for ref, task in others.items():
            self.names[ref] = task.name
            self._by_id[ref] = ref
            if ref not in self._doomed:
                self._by_name[task.user_id, task.name].append(ref)

    def _link(self, after: After, owner: User, kept: Collection[str]) -> Link:
        ref = self._parent(after.task, owner, kept)
        if ref in self._doomed:
            raise ValueError(_("“%s” would be deleted.") % self.names.get(ref, ref))
        return Link(ref, after.on)

    def _parent(self, named: Named, owner: User, kept: Collection[str]) -> Ref:
        if named.id is not None and named.id in self._by_id:
            ref = self._by_id[named.id]
            if named.name not in (None, self.names[ref]):
                words = {"id": named.id, "actual": self.names[ref], "name": named.name}
                raise ValueError(_("%(id)s is “%(actual)s” here, not “%(name)s”.") % words)
            return ref
        if named.id is not None and named.id in kept:
            return named.id
        found = self._by_name.get((owner.pk, named.name), []) if named.name else []
        if not found:
            raise ValueError(_("Not found: %s.") % named)
        if len(found) > 1:
            raise ValueError(_("“%s” may mean several tasks; give the id.") % named)
        return found[0]


def _circle(edges: Mapping[Ref, Sequence[Ref]]) -> list[Ref]:
    """The tasks along some circle, each run by the one before it, or nothing."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        circle: list[Ref] = error.args[1]
        return circle
    return []
