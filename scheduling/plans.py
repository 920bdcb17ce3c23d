"""The plans of many tasks at once, walked through cell by cell of a timetable.

Tasks that run by one and the same rule share a plan: ten thousand tasks that run daily, each at some
minute, are looked at as the 1,440 plans that they are.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from scheduling import calendar
from scheduling.calendar import INSTANT

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models import ScheduledTask
    from scheduling.recurrence import Occurrence, Rule
    from scheduling.sheets import Span

MOST_TASKS = 20_000
MOST_LOOKS = 60_000
# So many planned tasks at one minute get in each other's way, whatever they target.
CROWD = 20
# What runs more often than this a day is in everybody's way all the time, and not worth a mark.
MOST_COMPARED_A_DAY = 24
TARGETS = ("device_ids", "group_ids")


@dataclass
class Plan:
    """One rule, the tasks that run by it, in order of their names, and from when on. `left` is how
    many occurrences `max_runs` leaves; None: as many as there are."""

    rule: Rule
    begins: datetime
    tasks: list[ScheduledTask]
    left: int | None = None

    @cached_property
    def targets(self) -> set[str]:
        return {one for task in self.tasks for one in (*task.device_ids, *task.group_ids)}

    @cached_property
    def has_shared_targets(self) -> bool:
        named = sum(len(task.device_ids) + len(task.group_ids) for task in self.tasks)
        return len(self.targets) < named

    @cached_property
    def is_compared(self) -> bool:
        day = self.begins + timedelta(days=1)
        return self.rule.count_between(self.begins - INSTANT, day) <= MOST_COMPARED_A_DAY

    def after(self, moment: datetime) -> Occurrence | None:
        return None if self.left == 0 else self.rule.next_after(moment)

    def spend(self, number: int) -> int:
        """Takes so many from what is left; answers how many there were."""
        if self.left is not None:
            number = min(number, self.left)
            self.left -= number
        return number


def plans(user: User, since: datetime, until: datetime, search: str) -> tuple[list[Plan], bool]:
    """Those that reach into [since, until), the next first, and whether some were left out."""
    found: dict[Hashable, Plan] = {}
    allowance = calendar.Allowance(since)
    named = calendar.planned_tasks(user, until).filter(name__icontains=search)
    tasks = list(named.only(*calendar.PLAN_FIELDS, *TARGETS)[: MOST_TASKS + 1])
    for task in tasks[:MOST_TASKS]:
        key = _key(task)
        if key in found:
            found[key].tasks.append(task)
        elif rule := calendar.rule_of(task):
            begins = max(task.next_scheduled_for or since, since)
            found[key] = Plan(rule, begins, [task], allowance.left(task, rule))
    for plan in found.values():
        plan.tasks.sort(key=lambda task: (task.name, str(task.pk)))
    return list(found.values()), len(tasks) > MOST_TASKS


def _key(task: ScheduledTask) -> Hashable:
    """The same for tasks with the same occurrences; a rule that depends on more is the task's own."""
    config = task.recurrence_config
    counts_from_anchor = task.recurrence_type == "interval" or config.get("every", 1) != 1
    bounded = task.start_at or task.end_at or task.max_runs is not None or task.excluded_dates
    if counts_from_anchor or bounded:
        return task.pk
    text = json.dumps(config, sort_keys=True)
    return task.recurrence_type, text, task.time_zone, task.next_scheduled_for


@dataclass(slots=True)
class Minute:
    """The planned tasks of one minute, and whether some get in each other's way."""

    number: int = 0
    targets: set[str] = field(default_factory=set)
    collides: bool = False

    def enter(self, plan: Plan) -> None:
        self.number += len(plan.tasks)
        shares = plan.has_shared_targets or not self.targets.isdisjoint(plan.targets)
        self.collides = self.collides or shares or self.number >= CROWD
        if not self.collides:
            self.targets |= plan.targets


@dataclass(slots=True)
class Tally:
    """What plans bring into one span: the first rows of each, and how many there are."""

    rows: list[calendar.Row] = field(default_factory=list)
    number: int = 0
    minutes: dict[datetime, Minute] = field(default_factory=lambda: defaultdict(Minute))

    @property
    def collisions(self) -> set[datetime]:
        return {at for at, minute in self.minutes.items() if minute.collides}


class Walk:
    """Goes through plans span by span; the spans follow each other.

    Of a plan that runs very often a span shows only the first, unless it is as short as an hour:
    the others would hide everything else.
    """

    def __init__(self, spans: Sequence[Span], most: int) -> None:
        self._most = most
        self._most_often = most if spans[0][1] - spans[0][0] <= timedelta(hours=1) else 1
        self._ways = [(end, Tally()) for _start, end in spans]
        self._looks = 0
        self.is_cut = False

    @property
    def tallies(self) -> list[Tally]:
        return [tally for _end, tally in self._ways]

    def add(self, plan: Plan) -> None:
        if self._looks > MOST_LOOKS:
            self.is_cut = True
            return
        found = plan.after(plan.begins - INSTANT)
        for end, tally in self._ways:
            if found is None:
                return
            if found.at < end:
                found = self._through(plan, found, end, tally)

    def _through(
        self, plan: Plan, found: Occurrence, end: datetime, tally: Tally
    ) -> Occurrence | None:
        """Takes the plan's occurrences before `end`; answers the one after them."""
        following: Occurrence | None = found
        shown = 0
        while following is not None and following.at < end:
            if shown >= self._most_often and not plan.is_compared:
                rest = plan.rule.count_between(following.at - INSTANT, end - INSTANT)
                tally.number += plan.spend(rest) * len(plan.tasks)
                return plan.after(end - INSTANT)
            self._enter(plan, following, tally, shows=shown < self._most)
            shown += 1
            following = plan.after(following.at)
        return following

    def _enter(self, plan: Plan, found: Occurrence, tally: Tally, *, shows: bool) -> None:
        self._looks += 1
        plan.spend(1)
        tally.number += len(plan.tasks)
        if shows:
            firsts = plan.tasks[: self._most]
            tally.rows += [calendar.planned_row(task, found) for task in firsts]
            self._forget_late(tally)
        if plan.is_compared:
            tally.minutes[found.at.replace(second=0, microsecond=0)].enter(plan)

    def _forget_late(self, tally: Tally) -> None:
        if len(tally.rows) > 20 * self._most:
            tally.rows = heapq.nsmallest(self._most, tally.rows, key=calendar.place)
