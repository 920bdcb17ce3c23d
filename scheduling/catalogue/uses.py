"""Who uses what of the catalogue: for pages that name it, a few of each and never more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from scheduling.models import (
    Execution,
    ScheduledTask,
    Software,
    SoftwareSource,
    StoredFile,
    TaskTemplate,
)
from scheduling.models.scheduled_task import ScheduledTaskQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_NAMED = 3
MOST_READ = 500


@dataclass(slots=True)
class Uses:
    """Tasks this person sees and software that use one thing; `more` are not named."""

    named: list[ScheduledTask | Software] = field(default_factory=list)
    more: int = 0

    def add(self, one: ScheduledTask | Software) -> None:
        if len(self.named) < MOST_NAMED:
            self.named.append(one)
        else:
            self.more += 1


def of_files(files: Iterable[StoredFile], user: User) -> dict[UUID, Uses]:
    """In two queries, whatever the number of files."""
    pks = [file.pk for file in files]
    found: dict[UUID, Uses] = defaultdict(Uses)
    for task in _tasks("file_ids", pks, user):
        for pk in _named(task, "file_ids", pks):
            found[pk].add(task)
    sources = SoftwareSource.objects.filter(file__in=pks).select_related("software")
    for source in sources.order_by("software__name", "pk")[:MOST_READ]:
        if source.file_id is not None:
            found[source.file_id].add(source.software)
    return {pk: found[pk] for pk in pks}


def of_software(entries: Iterable[Software], user: User) -> dict[UUID, Uses]:
    """Tasks alone: what depends on an entry is its `dependents`."""
    pks = [entry.pk for entry in entries]
    found: dict[UUID, Uses] = defaultdict(Uses)
    for task in _tasks("software_ids", pks, user):
        for pk in _named(task, "software_ids", pks):
            found[pk].add(task)
    return {pk: found[pk] for pk in pks}


def left_without(removed: Sequence[str], user: User) -> Uses:
    """The software that needs something of what is removed, and is not removed itself."""
    found, pks = Uses(), [UUID(one) for one in removed]
    if pks:
        needing = Software.objects.visible_to(user).filter(dependencies__in=pks)
        rows = needing.exclude(pk__in=pks).distinct().order_by("name", "-pk")
        for one in rows[:MOST_READ]:
            found.add(one)
    return found


def tasks_naming(name: str, pks: Sequence[UUID]) -> ScheduledTaskQuerySet:
    """The tasks that may run again whose payload names one of these under `name`, by their names."""
    named = {f"task_payload__{name}__has_any_keys": [str(pk) for pk in pks]}
    unended = Execution.objects.unended().exclude(task=None).values("task")
    rows = ScheduledTask.objects.filter(Q(ad_hoc=False) | Q(pk__in=unended))
    return rows.filter(**named).order_by("name", "pk")


def tasks_in_words(name: str, pk: UUID, user: User) -> list[str]:
    """The tasks whose payload names this under `name`, a few by what they are called; those that this
    person may not see without."""
    naming = tasks_naming(name, [pk])
    visible = naming.visible_to(user)
    said = [_("the task %s") % task.name for task in visible[:MOST_NAMED]]
    if naming.exclude(pk__in=visible.order_by().values("pk")).exists():
        said.append(_("another person's task"))
    return said


def templates_naming(name: str, pk: UUID, user: User) -> list[TaskTemplate]:
    """The templates whose payload names this under `name`, a few of those that this person sees."""
    named = {f"definition__task_payload__{name}__has_any_keys": [str(pk)]}
    return list(TaskTemplate.objects.visible_to(user).filter(**named)[:MOST_NAMED])


def _tasks(name: str, pks: Sequence[UUID], user: User) -> ScheduledTaskQuerySet:
    return tasks_naming(name, pks).visible_to(user)[:MOST_READ]


def _named(task: ScheduledTask, name: str, pks: Sequence[UUID]) -> list[UUID]:
    given = set(task.task_payload.get(name, ()))
    return [pk for pk in pks if str(pk) in given]
