"""What administrators are to know of besides what is not well: recovery mode, alarms, and tasks that
nobody could open."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scheduling import alarms, clock, heartbeats, recovery, turns
from scheduling.models import ScheduledTask

UNOPENED_AFTER = timedelta(minutes=5)


class Notice(NamedTuple):
    """`name` is recovery, alarms or unopened."""

    name: str
    sentence: str


def current() -> list[Notice]:
    """Asked of the database now; nothing where it does not answer, which `health` says."""
    try:
        found = [
            Notice("recovery", _recovery()),
            Notice("alarms", _alarms()),
            Notice("unopened", _unopened()),
        ]
    except (DatabaseError, InterfaceError):
        return []
    return [notice for notice in found if notice.sentence]


def _recovery() -> str:
    said = recovery.status().sentence()
    hint = _("manage.py recovery off waits for them no longer, and gives up their unfinished runs.")
    return f"{said} {hint}" if said else ""


def _alarms() -> str:
    number = alarms.recent().count()
    if not number:
        return ""
    text = ngettext(
        "%s run on a device contradicts what this server knows of it: look at the machine.",
        "%s runs on devices contradict what this server knows of them: look at the machines.",
        number,
    )
    return text % number


def _unopened() -> str:
    """Of tasks that are due while worker and beat are there; where one is not, `health` says so."""
    late = ScheduledTask.objects.filter(next_run_time__lt=Now() - UNOPENED_AFTER)
    late = late.exclude(turns.may_wait(clock.now()))
    found = late.aggregate(number=Count("pk"), since=Min("next_run_time"))
    if not (found["number"] and heartbeats.alive("worker") and heartbeats.alive("beat")):
        return ""
    text = ngettext(
        "%(number)s task is due since %(moment)s UTC and has not been opened. Where that stays so, the"
        " log of worker and beat says why: occurrence_not_opened, task_has_no_valid_rule.",
        "%(number)s tasks are due, the first since %(moment)s UTC, and have not been opened. Where that"
        " stays so, the log of worker and beat says why: occurrence_not_opened,"
        " task_has_no_valid_rule.",
        found["number"],
    )
    return text % {"number": found["number"], "moment": f"{found['since']:%Y-%m-%d %H:%M}"}
