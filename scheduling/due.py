"""Occurrences that have come: opened until nothing of a task is due any more."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError
from django.db.models import Q

from accounts.database import is_away
from scheduling import bursts, opening
from scheduling.models import ScheduledTask
from scheduling.recurrence import RuleError

log = structlog.get_logger(__name__)
# A task that fell behind opens at most so many at a time, lest it hold everybody else up.
AT_ONCE = 20
# Few enough that the first of a burst does not wait long for the last.
IN_ONE_TRANSACTION = 50


def open_all(task_id: UUID, scheduled_for: datetime | None, opened_by: str) -> int:
    """Opens the task's due occurrences, the named one first; how many rows that made."""
    for number in range(AT_ONCE):
        try:
            execution = opening.open_due(task_id, scheduled_for, opened_by)
        except IntegrityError as error:
            log.warning("occurrence_open_already", task=str(task_id), error=str(error))
            return number
        except RuleError as error:
            log.error("task_has_no_valid_rule", task=str(task_id), errors=error.errors)
            return number
        except Exception as error:
            if is_away(error):
                raise
            # It stays due, which `notices` tells, and keeps no other from being opened.
            log.exception("occurrence_not_opened", task=str(task_id))
            return number
        if execution is None:
            return number
        scheduled_for = None
    return AT_ONCE


def open_many(wanted: bursts.Wanted, opened_by: str) -> int:
    """Opens these tasks' due occurrences, in few transactions where they are plain; how many rows
    that made."""
    pairs = list(wanted.items())
    return sum(
        _open_some(dict(pairs[start : start + IN_ONE_TRANSACTION]), opened_by)
        for start in range(0, len(pairs), IN_ONE_TRANSACTION)
    )


def _open_some(wanted: bursts.Wanted, opened_by: str) -> int:
    try:
        opened = bursts.open_plain(wanted, opened_by)
    except Exception as error:
        if is_away(error):
            raise
        # Somebody was in the way of one of them, or it cannot be opened: each alone, it keeps no
        # other from it.
        log.warning("burst_taken_apart", tasks=len(wanted), error=type(error).__name__)
        opened = bursts.Opened(left=set(wanted))
    # Of a task that was opened already, whatever else is due follows.
    return opened.rows + sum(open_all(pk, None, opened_by) for pk in sorted(opened.left))


class Overdue:
    """Opens what is due over all tasks, so many at a time, the longest overdue first. Goes on where
    it ended: what waits its turn or cannot be opened keeps no other from it."""

    def __init__(self) -> None:
        self._after: tuple[datetime | None, UUID] | None = None

    def __call__(self, opened_by: str, limit: int = 200) -> int:
        rows = ScheduledTask.objects.due().order_by("next_run_time", "pk")
        if self._after is not None:
            moment, pk = self._after
            rows = rows.filter(Q(next_run_time__gt=moment) | Q(next_run_time=moment, pk__gt=pk))
        found = list(rows.values_list("next_run_time", "pk")[:limit])
        self._after = found[-1] if len(found) == limit else None
        return open_many(dict.fromkeys(pk for _moment, pk in found), opened_by)


open_everything = Overdue()
