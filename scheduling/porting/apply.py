"""Carries a plan out, whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.errors import StateConflict
from scheduling import clock, schedules
from scheduling.models import ScheduledTask
from scheduling.porting import plan as plans
from scheduling.porting.linking import Ref
from scheduling.porting.steps import Plan, Step, Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# How often `carry_out` goes over the steps, and says so of each.
PASSES = 2
log = structlog.get_logger(__name__)


@transaction.atomic
def carry_out(
    plan: Plan, user: User, *, advance: Callable[[], object] = bool
) -> list[ScheduledTask]:
    """Does what the plan says, by the verbs and with this person's rights; answers the tasks that
    were made or changed. Calls `advance` PASSES times for each step.

    Raises StateConflict where it would not do the same any more, InvalidInput where it cannot be.
    """
    _lock(step.task_id for step in plan.steps)
    current = plans.of(plan.document, user, now=clock.now(), prune=plan.prune)
    if current != plan:
        raise StateConflict(_("Something has changed since the plan was made. Look again."), "")
    # Those that go, and dependencies that go, go first: no circle can close on the way.
    for step in plan.steps:
        if step.action == "delete":
            schedules.delete(_task_of(step), user)
    written = _Written(user)
    for step in plan.steps:
        written.write(step)
        advance()
    for step in plan.steps:
        written.link(step)
        advance()
    log.info(
        "tasks_imported",
        user=user.pk,
        created=plan.count("create"),
        changed=plan.count("change"),
        deleted=plan.count("delete"),
    )
    return written.finish(plan.steps)


def _lock(task_ids: Iterable[UUID | None]) -> None:
    """In the order of ids, so that two imports do not wait for each other."""
    rows = ScheduledTask.objects.filter(pk__in=[one for one in task_ids if one])
    list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk"))


def _task_of(step: Step) -> ScheduledTask:
    assert step.task_id is not None
    return ScheduledTask.objects.get(pk=step.task_id)


class _Written:
    """The tasks of a plan as they come to be, by the name links have for them."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._tasks: dict[Ref, ScheduledTask] = {}

    def write(self, step: Step) -> None:
        """Without the dependencies that are new: the tasks they name may not be there yet."""
        writing = step.writing
        if writing is None:
            return
        if step.action == "create":
            self._tasks[writing.ref] = self._create(step, writing)
            return
        task = _task_of(step)
        if step.action == "change":
            data = {**writing.data, "depends_on": _kept(task, writing)}
            task = schedules.update(task, self._user, data, partial=False)
        self._tasks[writing.ref] = task

    def link(self, step: Step) -> None:
        """With the dependencies that are new."""
        writing = step.writing
        if writing is None or step.action == "keep":
            return
        wanted = [{"task_id": self._id(link.parent), "on": link.on} for link in writing.links]
        task = self._tasks[writing.ref]
        if len(wanted) > task.dependencies.count():
            given = {"depends_on": wanted}
            self._tasks[writing.ref] = schedules.update(task, self._user, given, partial=True)

    def finish(self, steps: Iterable[Step]) -> list[ScheduledTask]:
        """Paused or resumed, as the document has them."""
        changed = [step.writing for step in steps if step.writing and step.action != "keep"]
        return [self._paused(self._tasks[one.ref], one.paused) for one in changed]

    def _create(self, step: Step, writing: Writing) -> ScheduledTask:
        owner = User.objects.get(pk=writing.owner_id)
        origin = schedules.Origin(owner, step.task_id, writing.created_at)
        return schedules.create(self._user, writing.data, origin=origin)

    def _id(self, ref: Ref) -> str:
        return str(self._tasks[ref].pk) if ref in self._tasks else ref

    def _paused(self, task: ScheduledTask, paused: bool | None) -> ScheduledTask:
        if paused is True and not task.is_paused:
            with suppress(StateConflict):  # nothing is left to come that a pause could hold back
                return schedules.pause(task, self._user)
        if paused is False and task.is_paused:
            return schedules.resume(task, self._user)
        return task


def _kept(task: ScheduledTask, writing: Writing) -> list[dict[str, str]]:
    wanted = {(link.parent, link.on) for link in writing.links}
    return [
        {"task_id": str(one.parent_id), "on": one.on}
        for one in task.dependencies.all()
        if (str(one.parent_id), one.on) in wanted
    ]
