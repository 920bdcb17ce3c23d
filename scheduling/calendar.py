"""What lies in a stretch of time: occurrences that are planned, and what came of those past."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.utils.translation import gettext as _

from accounts.errors import InvalidInput
from scheduling import zones
from scheduling.models import Execution, ScheduledTask
from scheduling.recurrence import Occurrence, Rule, RuleError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from scheduling.models.scheduled_task import ScheduledTaskQuerySet

log = structlog.get_logger(__name__)
MOST_DAYS = 366
MOST_ROWS = 10_000
DEFAULT_DAYS = 7
MOST_YEARS_AHEAD = 10
# Runs are counted day by day where `max_runs` limits them: some seconds' worth for one look.
MOST_DAYS_COUNTED = 3_000_000
_FIRST_COUNT = timedelta(days=7)
INSTANT = timedelta(microseconds=1)
PAST_FIELDS = (
    "task_id", "task_name", "task_type", "scheduled_for", "task__time_zone", "status", "pk",
    "error_message",
)  # fmt: skip
PLAN_FIELDS = (
    "name", "task_type", "recurrence_type", "recurrence_config", "time_zone", "start_at", "end_at",
    "max_runs", "scheduled_run_count", "jitter_seconds", "excluded_dates", "next_scheduled_for",
    "created_at",
)  # fmt: skip
_Place = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """`at` is the nominal time, `local` what clocks in the task's zone show then. `note` says what
    daylight saving does to a planned one, and why a past one did not run."""

    kind: Literal["planned", "past"]
    task_id: UUID | None
    task_name: str
    task_type: str
    at: datetime
    local: datetime
    time_zone: str
    status: str | None
    execution_id: UUID | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Calendar:
    """The rows of [since, until) in order of time. Where they are capped, those up to the last
    row's `at` are there and later ones are not."""

    since: datetime
    until: datetime
    rows: list[Row]
    is_capped: bool


def between(
    user: User, since: datetime | None, until: datetime | None, *, now: datetime
) -> Calendar:
    """The occurrences this person may see, at most MOST_ROWS; by default those of the week that
    begins now. Costs what it shows, and a look at each task that is planned before `until`.

    Raises InvalidInput, under the names `from` and `to`.
    """
    since, until = _span(since, until, now)
    rows = heapq.merge(_past(user, since, until), _planned(user, since, until), key=place)
    found = list(islice(rows, MOST_ROWS + 1))
    return Calendar(since, until, found[:MOST_ROWS], len(found) > MOST_ROWS)


def _span(
    since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    since = since or now
    if since > now + timedelta(days=MOST_YEARS_AHEAD * 366):
        raise InvalidInput({"from": [_("must be at most %s years ahead.") % MOST_YEARS_AHEAD]})
    until = until or since + timedelta(days=DEFAULT_DAYS)
    if until < since:
        raise InvalidInput({"to": [_("must not lie before the start.")]})
    if until - since > timedelta(days=MOST_DAYS):
        raise InvalidInput({"to": [_("must be at most %s days after the start.") % MOST_DAYS]})
    return since, until


def place(row: Row) -> _Place:
    """Rows of one instant come in an order that does not change from one look to the next."""
    return row.at, row.task_name, str(row.task_id)


def _past(user: User, since: datetime, until: datetime) -> list[Row]:
    found = Execution.objects.visible_to(user).filter(
        scheduled_for__gte=since, scheduled_for__lt=until
    )
    listed = found.order_by("scheduled_for", "pk").values_list(*PAST_FIELDS)
    return sorted((past_row(*values) for values in listed[: MOST_ROWS + 1]), key=place)


def past_row(
    task_id: UUID | None,
    name: str,
    task_type: str,
    at: datetime | None,
    time_zone: str | None,
    status: str,
    execution_id: UUID,
    reason: str,
) -> Row:
    """Of the values of PAST_FIELDS."""
    assert at is not None
    # That of a deleted task is gone with it, another may have left the time zone database.
    zone = time_zone if time_zone in zones.names() else "UTC"
    local = at.astimezone(ZoneInfo(zone))
    note = reason or None
    return Row("past", task_id, name, task_type, at, local, zone, status, execution_id, note)


@dataclass(slots=True)
class _Ahead:
    """A task's occurrences still to come, one after another."""

    task: ScheduledTask
    rule: Rule
    left: int | None
    next: Occurrence | None = None

    def step(self, after: datetime, until: datetime) -> bool:
        """Goes to the first occurrence later than `after`; whether there is one before `until`."""
        self.next = None if self.left == 0 else self.rule.next_after(after)
        if self.next is None or self.next.at >= until:
            return False
        if self.left is not None:
            self.left -= 1
        return True

    def row(self) -> Row:
        assert self.next is not None
        return planned_row(self.task, self.next)


def planned_row(one: ScheduledTask, of: Occurrence) -> Row:
    zone = one.time_zone
    return Row(
        "planned", one.pk, one.name, one.task_type, of.at, of.local, zone, None, None, of.note
    )


_Waiting = list[tuple[_Place, _Ahead]]


def _planned(user: User, since: datetime, until: datetime) -> Iterator[Row]:
    """Merged by time: the next of all tasks first, then that task's following one takes its turn.

    Tasks come in order of their next occurrence, and one is only looked at when that is reached.
    """
    waiting: _Waiting = []
    allowance = Allowance(since)
    for task in planned_tasks(user, until).iterator(chunk_size=500):
        planned = max(task.next_scheduled_for or since, since)
        while waiting and waiting[0][0][0] < planned:
            yield _take(waiting, until)
        if (ahead := _ahead(task, allowance)) and ahead.step(planned - INSTANT, until):
            heapq.heappush(waiting, (place(ahead.row()), ahead))
            _forget_late(waiting)
    while waiting:
        yield _take(waiting, until)


def _take(waiting: _Waiting, until: datetime) -> Row:
    ahead = waiting[0][1]
    row = ahead.row()
    if ahead.step(row.at, until):
        heapq.heapreplace(waiting, (place(ahead.row()), ahead))
    else:
        heapq.heappop(waiting)
    return row


def _forget_late(waiting: _Waiting) -> None:
    """Of very many tasks, those whose first occurrence comes after MOST_ROWS others show nothing."""
    if len(waiting) > 2 * MOST_ROWS:
        waiting[:] = heapq.nsmallest(MOST_ROWS + 1, waiting)


def planned_tasks(user: User, until: datetime) -> ScheduledTaskQuerySet:
    """Those with a plan before `until`, the one whose turn is next first."""
    planned = ScheduledTask.objects.visible_to(user).filter(next_scheduled_for__lt=until)
    return planned.only(*PLAN_FIELDS).order_by("next_scheduled_for")


class Allowance:
    """Counts what `max_runs` leaves of a plan that begins before the stretch of time looked at."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._days = MOST_DAYS_COUNTED

    def left(self, task: ScheduledTask, rule: Rule) -> int | None:
        """How many occurrences from `since` on may run; None: as many as there are.

        Raises InvalidInput where that would take too long to find out.
        """
        if task.max_runs is None or task.next_scheduled_for is None:
            return task.max_runs
        left = task.max_runs - task.scheduled_run_count
        at, until, length = task.next_scheduled_for - INSTANT, self._since - INSTANT, _FIRST_COUNT
        while at < until and left > 0:
            end = min(at + length, until)
            if rule.interval_seconds() is None:
                self._spend(end - at)
            left -= rule.count_between(at, end)
            at, length = end, 2 * length
        return max(left, 0)

    def _spend(self, length: timedelta) -> None:
        self._days -= length.days
        if self._days < 0:
            raise InvalidInput({"from": [_("is too far ahead to count the runs until then.")]})


def _ahead(task: ScheduledTask, allowance: Allowance) -> _Ahead | None:
    rule = rule_of(task)
    return None if rule is None else _Ahead(task, rule, allowance.left(task, rule))


def rule_of(task: ScheduledTask) -> Rule | None:
    """None, and a line in the log, where the stored rule is not one any more."""
    try:
        return task.rule
    except RuleError as error:
        log.error("task_has_no_valid_rule", task=str(task.pk), errors=error.errors)
        return None
