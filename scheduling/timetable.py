"""What lies in each of many cells of time, such as the days of a month: a few rows, and numbers.

Unlike `calendar.between` it never runs out of rows before it comes to the last cell: of a cell only
the first rows are made, and what else is in it is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, DateTimeField, F, Func, IntegerField, Value

from scheduling import calendar
from scheduling.models import Execution
from scheduling.outcomes import WRONG
from scheduling.plans import Walk, plans

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models.execution import ExecutionQuerySet
    from scheduling.sheets import Span


@dataclass(slots=True)
class Cell:
    """`rows` are its first, past and planned; `past` counts its executions by status. `collisions`
    are the minutes in it at which planned tasks get in each other's way."""

    start: datetime
    end: datetime
    rows: list[calendar.Row] = field(default_factory=list)
    past: Mapping[str, int] = field(default_factory=dict)
    planned: int = 0
    collisions: set[datetime] = field(default_factory=set)

    @property
    def total(self) -> int:
        return self.planned + sum(self.past.values())

    @property
    def wrong(self) -> int:
        """How many failed, altogether or in part, or were missed."""
        return sum(self.past.get(status, 0) for status in WRONG)

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Timetable:
    """`is_capped`: so much is planned that the tasks whose turn comes last are left out."""

    cells: Sequence[Cell]
    plans: int
    is_capped: bool

    @property
    def total(self) -> int:
        return sum(cell.total for cell in self.cells)

    @property
    def collides(self) -> bool:
        return any(cell.collisions for cell in self.cells)


def of(user: User, spans: Sequence[Span], most: int, search: str = "") -> Timetable:
    """What this person may see of these spans of time, which follow each other without a gap; at
    most `most` rows each. `search`: only tasks with these letters in their names.

    Three queries. Costs a look at each planned task and each row that shows. Raises InvalidInput
    under the name `from` where counting what is left of a task's `max_runs` would take too long.
    """
    spans = [(start, end) for start, end in spans if start < end]
    if not spans:
        return Timetable([], 0, False)
    cells = [Cell(start, end) for start, end in spans]
    found, is_capped = plans(user, cells[0].start, cells[-1].end, search)
    walk = Walk(spans, most)
    for plan in found:
        walk.add(plan)
    past = Execution.objects.visible_to(user).filter(task_name__icontains=search)
    _count(past, cells)
    rows = _past_rows(past, cells, most)
    for cell, tally in zip(cells, walk.tallies, strict=True):
        merged = [*tally.rows, *(row for row in rows if cell.start <= row.at < cell.end)]
        cell.rows = sorted(merged, key=calendar.place)[:most]
        cell.planned, cell.collisions = tally.number, tally.collisions
    return Timetable(cells, len(found), is_capped or walk.is_cut)


def _count(past: ExecutionQuerySet, cells: Sequence[Cell]) -> None:
    """How many executions of each status each cell has, in one query."""
    starts = Value([cell.start for cell in cells], ArrayField(DateTimeField()))
    place = Func(F("scheduled_for"), starts, function="width_bucket", output_field=IntegerField())
    within = past.filter(scheduled_for__gte=cells[0].start, scheduled_for__lt=cells[-1].end)
    rows = within.order_by().annotate(place=place).values_list("place", "status")
    for number, status, count in rows.annotate(count=Count("pk")):
        cell = cells[number - 1]
        cell.past = {**cell.past, status: count}


def _past_rows(past: ExecutionQuerySet, cells: Sequence[Cell], most: int) -> list[calendar.Row]:
    """The first of each cell that has any, found by the index of occurrences."""
    firsts = [
        past.filter(scheduled_for__gte=cell.start, scheduled_for__lt=cell.end)
        .order_by("scheduled_for", "pk")
        .values_list(*calendar.PAST_FIELDS)[:most]
        for cell in cells
        if cell.past
    ]
    if not firsts:
        return []
    found = firsts[0].union(*firsts[1:], all=True) if firsts[1:] else firsts[0]
    return [calendar.past_row(*values) for values in found]
