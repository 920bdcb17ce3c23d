"""The steps that make the tasks that are there like the entries of a document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from devices.models import Device, DeviceGroup
from scheduling import definitions, dependencies, planning
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.porting import checking
from scheduling.porting.checking import Checked
from scheduling.porting.linking import Link, Ref, Target
from scheduling.porting.matching import Tasks
from scheduling.porting.steps import Action, Change, Loss, Step, Writing

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Names = Mapping[str, str]


def steps(
    targets: Sequence[Target],
    checked: Mapping[int, Checked],
    links: Mapping[Ref, tuple[Link, ...]],
    names: Mapping[Ref, str],
    tasks: Tasks,
    user: User,
    now: datetime,
) -> list[Step]:
    """One for each entry, in the order of the document."""
    shown = {**_target_names(targets, checked, user), **names}
    return [
        _step(one, checked[one.entry.number], links[one.ref], shown, tasks, now) for one in targets
    ]


def deletions(doomed: Iterable[ScheduledTask], targets: Sequence[Target], user: User) -> list[Step]:
    """What is deleted, and what goes with it."""
    gone = list(doomed)
    executions = _counted(Execution.objects.filter(task__in=gone), "task_id")
    runs = _counted(DeviceRun.objects.filter(execution__task__in=gone).unended(), "execution__task")
    dependents = _dependents(gone, targets, user)
    return [
        Step(
            "delete",
            task.name,
            task.user.get_username(),
            task.pk,
            loss=Loss(executions[task.pk], runs[task.pk], tuple(dependents[task.pk])),
        )
        for task in gone
    ]


def _step(
    one: Target,
    checked: Checked,
    links: tuple[Link, ...],
    names: Names,
    tasks: Tasks,
    now: datetime,
) -> Step:
    entry, task = one.entry, one.task
    changes = tuple(_changes(one, checked, links, names)) if task else ()
    action: Action = "create" if task is None else "change" if changes else "keep"
    return Step(
        action,
        checked.values["name"],
        one.owner.get_username(),
        task.pk if task else tasks.free_id(entry),
        changes,
        writing=Writing(one.ref, checked.data, links, entry.paused, one.owner.pk, entry.created_at),
        warnings=() if action == "keep" else _warnings(one, checked, now),
    )


def _warnings(one: Target, checked: Checked, now: datetime) -> tuple[str, ...]:
    made_at = one.task.created_at if one.task else one.entry.created_at or now
    rule = definitions.rule_of(checked.values, one.task, made_at)
    return tuple(rule.warnings(now))


def _changes(
    one: Target, checked: Checked, links: tuple[Link, ...], names: Names
) -> Iterator[Change]:
    task = one.task
    assert task is not None
    before = checking.stored(task)
    after = {**before, **checked.values}
    for name, value in after.items():
        if name == "user_id" and value != before[name]:
            yield Change("owner", task.user.get_username(), one.owner.get_username())
        elif name in ("device_ids", "group_ids"):
            if sorted(value) != sorted(before[name]):
                shown = [_named(ids, names) for ids in (before[name], value)]
                yield Change(checking.WRITTEN_AS[name], *shown)
        elif value != before[name]:
            yield Change(name, before[name], value)
    linked = {(str(each.parent_id), each.on) for each in task.dependencies.all()}
    wanted = {(link.parent, link.on) for link in links}
    if linked != wanted:
        yield Change("depends_on", *(_linked(pairs, names) for pairs in (linked, wanted)))
    if one.entry.paused not in (None, task.is_paused) and (
        task.is_paused or planning.has_something_left(task)
    ):
        yield Change("paused", task.is_paused, one.entry.paused)


def _named(ids: Iterable[str], names: Names) -> list[str]:
    return sorted(names.get(one, one) for one in ids)


def _linked(pairs: Iterable[tuple[str, str]], names: Names) -> list[str]:
    return sorted(f"{names.get(parent, parent)}: {on}" for parent, on in pairs)


def _target_names(
    targets: Sequence[Target], checked: Mapping[int, Checked], user: User
) -> dict[str, str]:
    """The names of the devices and groups of tasks where they change, if this person may see them."""
    found: dict[str, str] = {}
    for column, model in (("device_ids", Device), ("group_ids", DeviceGroup)):
        ids: set[str] = set()
        for one in targets:
            before = set(getattr(one.task, column, []))
            after = set(checked[one.entry.number].values[column])
            ids |= before | after if before != after else set()
        visible = model.objects.visible_to(user).filter(pk__in=ids)
        found |= {str(pk): name for pk, name in visible.values_list("pk", "name")}
    return found


def _counted(rows: QuerySet[Any], column: str) -> Mapping[UUID, int]:
    counts = rows.order_by().values_list(column).annotate(Count("pk"))
    return defaultdict(int, counts)


def _dependents(
    gone: Sequence[ScheduledTask], targets: Sequence[Target], user: User
) -> Mapping[UUID, list[str]]:
    """The names of tasks that would no longer start after one of these; what the document says of
    its own is among its changes."""
    links = dependencies.lost_with(gone).exclude(
        task__in=[one.task.pk for one in targets if one.task]
    )
    visible = set(
        ScheduledTask.objects.visible_to(user)
        .filter(pk__in=links.values("task"))
        .values_list("pk", flat=True)
    )
    found: dict[UUID, list[str]] = defaultdict(list)
    for parent, child, name in links.order_by("pk").values_list("parent", "task", "task__name"):
        found[parent].append(name if child in visible else _("another person's task"))
    return found
