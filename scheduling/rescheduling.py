"""One rule for several tasks: what would change, and the change of all of them or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.db import transaction

from accounts.acting import sentences
from accounts.errors import InvalidInput, NotAllowed
from accounts.vanishing import Gone
from scheduling import bulk, definitions, lost_kinds, schedules
from scheduling.models import ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A task's rule in words, before and after; `problem` says why it cannot have the new one,
    `warnings` what people may not have meant by it."""

    task: ScheduledTask
    before: str
    after: str
    problem: str = ""
    warnings: tuple[str, ...] = ()


class NotRescheduled(Exception):
    """Nothing was changed; `problems` says of which tasks, by their ids, and why."""

    def __init__(self, problems: Mapping[UUID, str]) -> None:
        super().__init__(f"{len(problems)} tasks refused the rule")
        self.problems = problems


def changes(
    tasks: Sequence[ScheduledTask], user: User, rule: Mapping[str, Any], *, now: datetime
) -> list[Change]:
    """What `rule` (recurrence_type, recurrence_config, time_zone) makes of each task; its bounds and
    everything else stay its own. Raises InvalidInput where it is no rule."""
    definitions.parse_rule(rule, now=now, task=tasks[0] if len(tasks) == 1 else None)
    barred = {one.task.pk: one.why for one in bulk.cannot_execute(tasks, user)}
    lost = [task for task in tasks if lost_kinds.is_lost(task.task_type)]
    barred |= {task.pk: lost_kinds.sentence(task.task_type) for task in lost}
    return [_change(task, rule, now, barred.get(task.pk, "")) for task in tasks]


def own(task: ScheduledTask) -> dict[str, Any]:
    """Its recurrence fields, which the rule leaves alone but for those it names."""
    return {name: getattr(task, name) for name in definitions.RECURRENCE_FIELDS}


def digest(listed: Sequence[Change]) -> str:
    """Two lists of changes that a person would read alike have the same."""
    lines = [f"{one.task.pk} {one.before} > {one.after} {one.problem}" for one in listed]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@transaction.atomic
def reschedule(tasks: Sequence[ScheduledTask], user: User, rule: Mapping[str, Any]) -> None:
    """Raises NotRescheduled where one of them refuses, and changes none then."""
    problems: dict[UUID, str] = {}
    # In one order for everybody: each keeps its lock until the last is changed.
    for task in sorted(tasks, key=lambda one: one.pk):
        try:
            schedules.update(task, user, rule, partial=True)
        except InvalidInput as refusal:
            problems[task.pk] = " ".join(sentences(refusal))
        except NotAllowed as refusal:
            problems[task.pk] = refusal.detail
        except ScheduledTask.DoesNotExist:
            problems[task.pk] = Gone.ITSELF.said
    if problems:
        raise NotRescheduled(problems)
    log.info("tasks_rescheduled", tasks=len(tasks), user=user.pk)


def _change(task: ScheduledTask, rule: Mapping[str, Any], now: datetime, problem: str) -> Change:
    try:
        new = definitions.parse_rule(own(task) | dict(rule), now=now, task=task)
    except InvalidInput as refusal:
        return Change(task, task.schedule_text, "", problem or " ".join(sentences(refusal)))
    warnings = tuple(new.warnings(now))
    return Change(task, task.schedule_text, new.sentence(), problem, warnings)
