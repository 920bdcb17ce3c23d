"""Misfires: what becomes of occurrences for which nobody was there in time. Pure but for the row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import ngettext

from scheduling.models import ScheduledTask
from scheduling.recurrence import Occurrence, Rule

RUN_AT_MOST = 100
PUNCTUAL = timedelta(minutes=1)
"""So late at most is what opens while all is well, a lost message and the look for it included: it is not
missed, however short its grace."""
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """Occurrences that will not run, in one row, and the one with which the plan goes on."""

    number: int
    first: datetime
    latest: datetime
    resume_at: Occurrence | None

    def sentence(self) -> str:
        text = ngettext(
            "%(number)s run was missed, due at %(first)s: it was not opened in time.",
            "%(number)s runs were missed, due from %(first)s to %(latest)s: "
            "they were not opened in time.",
            self.number,
        )
        return text % self.words()

    def words(self) -> dict[str, object]:
        return {
            "number": self.number,
            "first": self.first.isoformat(timespec="seconds"),
            "latest": self.latest.isoformat(timespec="seconds"),
        }


def missed(task: ScheduledTask, now: datetime) -> Missed | None:
    """What is to be written off before anything may open, or None where the planned one may.

    Asked again after a row was written off, it answers None: what is left is what runs.
    """
    first, due = task.next_scheduled_for, task.next_run_time
    until = late_if_due_before(task, now)
    if first is None or due is None or due >= until:
        return None
    rule, before = task.rule, first - _INSTANT
    last = rule.latest_between(before, until)
    if last is not None and last.due >= until:
        # It is due within the grace still; another one cannot be, as gaps are longer than delays.
        until = last.at - _INSTANT
    number = rule.count_between(before, until)
    punctual = rule.next_after(until)
    keeps = _keeps(task, number, has_punctual=punctual is not None and punctual.due <= now)
    if number <= keeps:
        return None
    kept = _last(rule, before, until, keeps)
    latest = rule.latest_between(before, kept[0].at - _INSTANT if kept else until)
    resume_at = kept[0] if kept else punctual
    return Missed(number - keeps, first, latest.at if latest else first, resume_at)


def late_if_due_before(task: ScheduledTask, now: datetime) -> datetime:
    """What was due earlier than this is past its grace."""
    return now - max(timedelta(seconds=task.misfire_grace_seconds), PUNCTUAL)


def all_due(task: ScheduledTask, now: datetime) -> Missed:
    """Every occurrence of a due task up to now, whatever its grace and its policy say."""
    first = task.next_scheduled_for
    assert first is not None
    rule, before, until = task.rule, first - _INSTANT, now
    last = rule.latest_between(before, until)
    if last is not None and last.due > now:
        until = last.at - _INSTANT
    latest = rule.latest_between(before, until)
    number = max(1, rule.count_between(before, until))
    return Missed(number, first, latest.at if latest else first, rule.next_after(until))


def _keeps(task: ScheduledTask, number: int, *, has_punctual: bool) -> int:
    """How many of the missed run after all: none, the latest, or the last hundred."""
    if task.misfire_policy == ScheduledTask.MisfirePolicy.RUN_ALL:
        return min(number, RUN_AT_MOST)
    runs_latest = task.misfire_policy == ScheduledTask.MisfirePolicy.RUN_LATEST
    return 1 if runs_latest and not has_punctual else 0


def _last(rule: Rule, after: datetime, until: datetime, number: int) -> list[Occurrence]:
    """The last `number` occurrences in (after, until], oldest first."""
    found: list[Occurrence] = []
    while len(found) < number and (latest := rule.latest_between(after, until)) is not None:
        found.append(latest)
        until = latest.at - _INSTANT
    return found[::-1]
