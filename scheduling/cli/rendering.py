"""Tasks, executions and runs for people's eyes: tables by rich, plain where nobody looks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from accounts.moments import place
from scheduling import payloads, terminal
from scheduling.models import DeviceRun, Execution, ScheduledTask
from scheduling.targets import Summary

STYLES = {
    "good": "green",
    "bad": "red",
    "mild": "yellow",
    "busy": "cyan",
    "wait": "blue",
    "held": "magenta",
    "still": "bright_black",
}
PIPED_WIDTH = 10_000
"""Where the output is read by a program, no cell is folded."""


def console(file: IO[str], *, no_color: bool = False) -> Console:
    """Colours and folding on a terminal only, whatever the environment says."""
    is_terminal = file.isatty()
    return Console(
        file=file,
        force_terminal=is_terminal,
        no_color=no_color or None,
        width=None if is_terminal else PIPED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal,
    )


def print_json(out: Console, value: object) -> None:
    text = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    out.file.write(text + "\n")


def text(words: object, style: str = "") -> Text:
    """People's and devices' words: never markup, never a terminal's commands."""
    return Text(terminal.plain(str(words)), style=style)


def state(row: ScheduledTask | Execution | DeviceRun) -> Text:
    """The status by its label, in its colour."""
    return text(row.get_status_display(), STYLES[row.TONES[row.status]])


def when(moment: datetime | None, zone: str = "UTC") -> str:
    if moment is None:
        return "—"
    local = moment.astimezone(UTC if zone == "UTC" else place(zone))
    return f"{local:%Y-%m-%d %H:%M:%S %Z}"


def tasks(rows: Iterable[ScheduledTask], summaries: Mapping[Any, Summary]) -> Table:
    table = columns(_("ID"), _("Name"), _("Status"), _("Runs"), _("Next"), _("Last"), _("Where"))
    for row in rows:
        table.add_row(
            str(row.pk),
            text(row.name),
            state(row),
            text(row.schedule_text),
            when(row.next_run_time, row.time_zone),
            text(row.last_execution_status or "—"),
            text(_where(summaries[row.pk])),
        )
    return table


def task(row: ScheduledTask, summary: Summary) -> Table:
    """One task with its `dependencies.named`, a line a fact."""
    table = Table(box=None, show_header=False, pad_edge=False)
    zone = row.time_zone
    facts: list[tuple[str, Text | str]] = [
        (_("ID"), str(row.pk)),
        (_("Name"), text(row.name)),
        (_("Description"), text(row.description)),
        (_("Status"), state(row)),
        (_("Runs"), text(row.schedule_text)),
        (_("Runs after"), text(_parents(row))),
        (_("Next"), when(row.next_run_time, zone)),
        (_("Last"), f"{when(row.last_run_time, zone)} {row.last_execution_status}".strip()),
        (_("Executions"), str(row.execution_count)),
        (_("What"), text(payloads.summary(row.task_type, row.task_payload))),
        (_("Where"), text(_where(summary))),
        (_("Tags"), text(", ".join(row.tags))),
        (_("Owner"), text(row.user.get_username())),
    ]
    for label, value in facts:
        if str(value):
            table.add_row(text(label, "bold"), value)
    return table


def executions(rows: Iterable[Execution], *, with_task: bool) -> Table:
    headings = [_("ID"), _("Status"), _("Trigger"), _("Opened"), _("Devices"), _("Why")]
    table = columns(*headings, *([_("Task")] if with_task else []))
    for row in rows:
        result = row.result
        done = f"{result.get('devices_succeeded', 0)}/{result.get('devices_targeted', 0)}"
        cells: list[Text | str] = [
            str(row.pk),
            state(row),
            row.get_trigger_display(),
            when(row.created_at),
            done,
            text(row.error_message),
        ]
        table.add_row(*cells, *([text(row.task_name)] if with_task else []))
    return table


def results(rows: Sequence[DeviceRun], most: int) -> Table:
    """How each device ended; those that did not succeed come first and are never left out."""
    ordered = sorted(rows, key=lambda row: (row.status == "succeeded", row.device_name, row.pk))
    unsuccessful = sum(row.status != "succeeded" for row in rows)
    shown = ordered[: max(most, unsuccessful)]
    table = columns(_("Device"), _("Status"), _("Exit code"), _("Seconds"), _("Why"))
    for row in shown:
        code = "—" if row.exit_code is None else str(row.exit_code)
        why = text(row.error_message)
        table.add_row(text(row.device_name), state(row), code, _seconds(row), why)
    if len(shown) < len(ordered):
        more = len(ordered) - len(shown)
        table.add_row(_("and %s more") % more, state(ordered[-1]), "", "", "")
    return table


def stats(numbers: Mapping[str, Any]) -> Table:
    table = columns(_("Status"), _("Tasks"))
    for status in ScheduledTask.Status:
        label = text(status.label, STYLES[ScheduledTask.TONES[status]])
        table.add_row(label, str(numbers[status]))
    table.add_row(text(_("Total"), "bold"), str(numbers["total"]))
    return table


def upcoming(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = columns(_("Next"), _("Name"), _("ID"))
    for row in rows:
        table.add_row(when(row["next_run_time"]), text(row["name"]), str(row["id"]))
    return table


def columns(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _parents(row: ScheduledTask) -> str:
    links: Any = row.dependencies.all()
    hidden = _("another person's task")
    return ", ".join(f"{one.parent_name or hidden} ({one.end})" for one in links)


def _where(summary: Summary) -> str:
    names = [one.name for one in (*summary.groups, *summary.devices)]
    hidden = summary.more_groups + summary.more_devices
    return ", ".join([*names, *([_("%s more") % hidden] if hidden else [])])


def _seconds(row: DeviceRun) -> str:
    if row.started_at is None or row.finished_at is None:
        return "—"
    return f"{(row.finished_at - row.started_at).total_seconds():.1f}"
