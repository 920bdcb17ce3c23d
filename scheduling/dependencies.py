"""Which tasks a task runs after: checked, without circles, and named for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Case, CharField, Exists, F, OuterRef, Prefetch, QuerySet, When
from django.utils.translation import gettext as _

from accounts import fields
from scheduling.models import ScheduledTask, TaskDependency

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST = 50
# Any number, the same for every process: who holds it alone adds dependencies.
_LINKING = 0x6C696E6B696E67


def check(given: list[Any], user: User, task: ScheduledTask | None) -> list[dict[str, str]]:
    """What a new task, or this one, depends on, each parent once. Raises ValueError."""
    require_few(given)
    wanted = {str(parent): on for parent, on in map(_dependency, given)}
    if len(wanted) < len(given):
        raise ValueError(_("names a task twice."))
    visible = ScheduledTask.objects.visible_to(user).filter(pk__in=wanted)
    found = {str(pk) for pk in visible.values_list("pk", flat=True)}
    kept = {str(one.parent_id) for one in task.dependencies.all()} if task else set()
    missing = [one for one in wanted if one not in found | kept]
    if missing:
        raise ValueError(_("Not found: %s.") % ", ".join(missing[:5]))
    if task is not None and wanted:
        _refuse_circle(task, list(wanted), user)
    return [{"task_id": parent, "on": on} for parent, on in wanted.items()]


def named(user: User) -> Prefetch[str]:
    """For tasks that are shown: what each runs after, with `parent_name`, which is None where this
    person may not see the parent. Asks one query for all of them."""
    visible = ScheduledTask.objects.visible_to(user).filter(pk=OuterRef("parent"))
    name = Case(When(Exists(visible), then=F("parent__name")), output_field=CharField())
    return Prefetch(
        "dependencies", TaskDependency.objects.annotate(parent_name=name).order_by("pk")
    )


def lost_with(tasks: Collection[ScheduledTask]) -> QuerySet[TaskDependency]:
    """What starts other tasks after one of these, and goes where these are deleted."""
    return TaskDependency.objects.filter(parent__in=tasks).exclude(task__in=tasks)


def require_few(given: list[Any]) -> None:
    if len(given) > MOST:
        raise ValueError(_("must have at most %s entries.") % MOST)


def circle_in_words(names: list[str]) -> str:
    return _("makes a circle: %s.") % " → ".join(names)


def graph() -> dict[str, list[str]]:
    """Every task that depends on another, with its parents."""
    edges: dict[str, list[str]] = {}
    for child, parent in TaskDependency.objects.values_list("task_id", "parent_id"):
        edges.setdefault(str(child), []).append(str(parent))
    return edges


def circle_through(start: str, edges: Mapping[str, list[str]]) -> list[str]:
    """What lies along a circle that leads back to this one, or nothing; `edges` are from what depends
    to what it depends on."""
    came_from: dict[str, str] = {}
    frontier = [start]
    while frontier:
        current = frontier.pop()
        for parent in edges.get(current, []):
            if parent == start:
                return _trail(start, current, came_from)
            if parent not in came_from:
                came_from[parent] = current
                frontier.append(parent)
    return []


def _refuse_circle(task: ScheduledTask, parents: list[str], user: User) -> None:
    """Raises ValueError with the names along a circle that these parents would close; a task that
    this person does not see goes by its id. Two people who close one circle from both ends come
    one after the other: the lock is held to the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LINKING])
    trail = circle_through(str(task.pk), {**graph(), str(task.pk): parents})
    if trail:
        visible = ScheduledTask.objects.visible_to(user).filter(pk__in=trail)
        names = {str(pk): name for pk, name in visible.values_list("pk", "name")}
        raise ValueError(circle_in_words([names.get(one, one) for one in trail]))


def _dependency(given: object) -> tuple[str, str]:
    if not isinstance(given, dict) or set(given) != {"task_id", "on"}:
        raise ValueError(_('each entry must be {"task_id": …, "on": …}.'))
    (parent,) = fields.identifiers(1)([given["task_id"]])
    return parent, fields.one_of(TaskDependency.On.values)(given["on"])


def _trail(start: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    trail = [start, last] if last != start else [start]
    while trail[-1] != start:
        trail.append(came_from[trail[-1]])
    return [*trail, start] if len(trail) == 1 else trail
