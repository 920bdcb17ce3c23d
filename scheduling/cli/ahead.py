"""What lies ahead: the runs of one rule, and the calendar of all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from rich.table import Table

from accounts import fields
from accounts.errors import InvalidInput
from scheduling import calendar, clock, schedules, zones
from scheduling.calendar import Calendar
from scheduling.cli import definition, finding, rendering
from scheduling.forms import values
from scheduling.models import Execution, ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_WAYS = ("once", "every", "daily", "weekly", "monthly", "cron")


def preview(options: Mapping[str, Any], user: User) -> schedules.Preview:
    """Of the task named, else of the rule in the options. Raises InvalidInput."""
    has_rule = options["by_hand"] or any(options[way] is not None for way in _WAYS)
    if (options["task"] is not None) is has_rule:
        raise InvalidInput({"task": [_("Give either a task or a rule such as --daily 02:00.")]})
    if options["task"] is not None:
        return _preview_of(finding.task(user, options["task"]), options["count"])
    given = {**definition.rule_of(options), **dict(options["fields"])}
    found = schedules.preview({**given, "count": options["count"]}, now=clock.now())
    if options["max_runs"] is not None:
        del found.runs[max(options["max_runs"], 0) :]
    return found


def _preview_of(task: ScheduledTask, count: int) -> schedules.Preview:
    """What a task's rule has ahead; a paused one says that none of it happens."""
    try:
        count = fields.whole_number(1, 100)(count)
    except ValueError as error:
        raise InvalidInput({"count": [str(error)]}) from None
    if task.max_runs is not None:
        count = max(min(count, task.max_runs - task.scheduled_run_count), 0)
    now, rule = clock.now(), task.rule
    warnings = rule.warnings(now)
    if task.is_paused:
        warnings.insert(0, _("It is paused: none of these runs starts until it is resumed."))
    return schedules.Preview(rule.sentence(), rule.next_runs(now, count), warnings)


def runs(found: schedules.Preview) -> Table:
    table = rendering.columns(_("Local"), _("UTC"), _("Note"))
    for run in found.runs:
        local = f"{run.local:%a %Y-%m-%d %H:%M:%S %z}"
        table.add_row(local, f"{run.at:%Y-%m-%d %H:%M:%SZ}", rendering.text(run.note or ""))
    return table


def of(options: Mapping[str, Any], user: User) -> Calendar:
    """The calendar of what this person may see. Raises InvalidInput."""
    if options["zone"] not in zones.names():
        message = _("must be the name of a time zone, as in Europe/Berlin.")
        raise InvalidInput({"zone": [message]})
    errors: dict[str, list[str]] = {}
    given = {}
    for name, option in (("from", "since"), ("to", "until")):
        typed = options[option]
        try:
            given[name] = fields.instant(typed and values.instant(typed, options["zone"]))
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise InvalidInput(errors)
    return calendar.between(user, given["from"], given["to"], now=clock.now())


def rows(found: Calendar, zone: str) -> Table:
    """In order of time, as clocks in this zone show it and as those in the task's do."""
    table = rendering.columns(_("When"), _("Local"), _("Task"), _("Status"), _("Note"))
    labels = dict(Execution.Status.choices)
    for row in found.rows:
        style = rendering.STYLES[Execution.TONES[row.status] if row.status else "wait"]
        status = labels[row.status] if row.status else _("Planned")
        table.add_row(
            rendering.when(row.at, zone),
            f"{row.local:%a %H:%M:%S %Z}",
            rendering.text(row.task_name),
            rendering.text(status, style),
            rendering.text(row.note or ""),
        )
    return table
