"""Export and import at the command line: files, the plan for people's eyes, and the question."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from accounts.errors import InvalidInput
from scheduling import clock
from scheduling.cli import finding, rendering
from scheduling.models import ScheduledTask
from scheduling.porting import apply, document, exporting
from scheduling.porting import plan as plans
from scheduling.porting.steps import Action, Change, Plan, Step

if TYPE_CHECKING:
    from django.contrib.auth.models import User

REFUSED = 1
LONGEST_VALUE = 200
_PRIVATE = 0o600
_STYLES: dict[Action, str] = {
    "create": "green",
    "change": "yellow",
    "delete": "red",
    "keep": "bright_black",
}


def export(options: Mapping[str, Any], user: User, out: Console, remarks: Console) -> None:
    """Writes the tasks named, or every task, to the file or standard output. Raises InvalidInput."""
    if options["tasks"]:
        tasks = list({one.pk: one for one in _named(options["tasks"], user)}.values())
    else:
        tasks = list(ScheduledTask.objects.visible_to(user).listed())
    found = exporting.document_of(tasks, user)
    if options["as_json"]:
        text = json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    else:
        text = document.write(found, comment=_("Tasks of DeployX; read by schedule import."))
    if options["output"] is None:
        out.file.write(text)
    else:
        _write(options["output"], text)
    if len(text.encode()) > document.MAX_BYTES:
        message = _("This is larger than the %s KiB that an import reads: export fewer at a time.")
        remarks.print(message % (document.MAX_BYTES // 1024))


def import_(options: Mapping[str, Any], user: User, out: Console, remarks: Console) -> int | None:
    """Shows the plan, asks, and carries it out. With JSON, people's words go to standard error.

    Raises InvalidInput, StateConflict.
    """
    plan = plans.of(_read(options["file"]), user, now=clock.now(), prune=options["prune"])
    shown = remarks if options["as_json"] else out
    _show(plan, shown)
    if not (options["dry_run"] or plan.does_nothing):
        if not options["yes"] and not _confirms(plan, remarks, options["file"]):
            remarks.print(_("Nothing was imported."))
            return REFUSED
        with _bar(plan, remarks) as advance:
            apply.carry_out(plan, user, advance=advance)
        shown.print(_("Done."))
    if options["as_json"]:
        rendering.print_json(out, plan_json(plan))
    return None


@contextmanager
def _bar(plan: Plan, remarks: Console) -> Iterator[Callable[[], object]]:
    """How far it is, on a terminal."""
    parts = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *parts, console=remarks, transient=True, disable=not remarks.is_terminal
    ) as progress:
        row = progress.add_task(_("Importing"), total=apply.PASSES * len(plan.steps))
        yield partial(progress.advance, row)


def plan_json(plan: Plan) -> dict[str, Any]:
    return {"prune": plan.prune, "steps": [_step_json(step) for step in plan.steps]}


def _step_json(step: Step) -> dict[str, Any]:
    loss = step.loss and {
        "executions_kept": step.loss.executions,
        "runs_cancelled": step.loss.runs_under_way,
        "dependents": list(step.loss.dependents),
    }
    return {
        "action": step.action,
        "id": step.task_id,
        "name": step.name,
        "owner": step.owner,
        "changes": {one.field: {"before": one.before, "after": one.after} for one in step.changes},
        "loss": loss,
        "warnings": list(step.warnings),
    }


def _named(words: list[str], user: User) -> list[ScheduledTask]:
    """Every word that means no task is named at once."""
    found, wrong = [], []
    for word in words:
        try:
            found.append(finding.task(user, word))
        except InvalidInput as refusal:
            wrong += refusal.errors["task"]
    if wrong:
        raise InvalidInput({"task": wrong})
    return found


def _write(path: str, text: str) -> None:
    """A new file is for its owner's eyes: commands and their environment may hold secrets."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, _PRIVATE)

    try:
        with open(path, "w", encoding="utf-8", newline="\n", opener=opener) as file:
            file.write(text)
    except OSError as error:
        words = {"path": path, "why": error.strerror}
        raise InvalidInput({"output": [_("Cannot write %(path)s: %(why)s.") % words]}) from None


def _read(path: str) -> Any:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(document.MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(document.MAX_BYTES + 1)
        return document.read(data)
    except OSError as error:
        words = {"path": path, "why": error.strerror}
        raise InvalidInput({"file": [_("Cannot read %(path)s: %(why)s.") % words]}) from None
    except document.DocumentError as error:
        raise InvalidInput({"file": [str(error)]}) from None


def _show(plan: Plan, out: Console) -> None:
    if plan.does_nothing:
        out.print(_("Everything is as the file says: nothing to do."))
        return
    out.print(_table(plan))
    out.print()
    words = {name: plan.count(name) for name in _STYLES}
    summary = _(
        "%(create)s to create, %(change)s to change, %(delete)s to delete, %(keep)s unchanged."
    )
    out.print(summary % words)


def _table(plan: Plan) -> Table:
    labels = {
        "create": _("create"),
        "change": _("change"),
        "delete": _("delete"),
        "keep": _("no change"),
    }
    table = rendering.columns(_("What"), _("Name"), _("Owner"), _("ID"), _("How"))
    for step in plan.steps:
        how = "\n".join(
            [*map(_change, step.changes), *_loss(step), *(f"! {one}" for one in step.warnings)]
        )
        table.add_row(
            rendering.text(labels[step.action], _STYLES[step.action]),
            rendering.text(step.name),
            rendering.text(step.owner),
            str(step.task_id or "—"),
            rendering.text(how),
        )
    return table


def _change(change: Change) -> str:
    return f"{change.field}: {_value(change.before)} → {_value(change.after)}"


def _value(value: object) -> str:
    text = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _loss(step: Step) -> list[str]:
    if step.loss is None:
        return []
    counts = _("%(runs)s runs under way are cancelled; its %(executions)s executions stay readable")
    words = {"runs": step.loss.runs_under_way, "executions": step.loss.executions}
    dependents = [_("“%s” no longer starts after it") % name for name in step.loss.dependents]
    return [counts % words, *dependents]


def _confirms(plan: Plan, remarks: Console, path: str) -> bool:
    """Nobody there to answer means no."""
    if path == "-" or not sys.stdin.isatty():
        remarks.print(_("Nobody answers here: say --yes."))
        return False
    number = sum(step.action != "keep" for step in plan.steps)
    question = ngettext(
        "Go on with this %s task? [y/N] ", "Go on with these %s tasks? [y/N] ", number
    )
    remarks.print(question % number, end="")
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        return False
