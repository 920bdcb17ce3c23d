"""The command line of `manage.py schedule`."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, _ArgumentGroup

from django.core.management.base import CommandParser

from devices.agent import kinds
from scheduling import calendar
from scheduling.cli import door, values
from scheduling.models import Execution, ScheduledTask

_TASK_HELP = "its id, the beginning of its id if no other begins so, or its exact name"


def add_to(parser: CommandParser) -> None:
    verbs: door.Verbs = {
        "add": ("plan a new task", _add),
        "list": ("the tasks", _list),
        "show": ("one task, its next runs and its latest executions", _task),
        "run": ("execute a task now", _run),
        "pause": ("let a task open nothing until it is resumed", _task),
        "resume": ("plan a paused task again, from now on", _task),
        "delete": ("delete a task; its executions stay readable", _delete),
        "executions": ("the latest executions, of one task or of all", _executions),
        "restore": ("put back the files that an execution replaced", _restore),
        "stats": ("tasks by status, and what runs soonest", _nothing),
        "preview": ("the next runs of a task, or of a rule given as for add", _preview),
        "calendar": ("what ran and what is to run, in order of time", _calendar),
        "export": ("tasks as YAML, to keep and to import", _export),
        "import": ("make the tasks like those in a file, after showing what that means", _import),
    }
    door.add_verbs(parser, verbs)


def _nothing(parser: ArgumentParser) -> None:
    """Takes no arguments of its own."""


def _task(parser: ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help=_TASK_HELP)


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what people will call it")
    _add_what(parser)
    _add_when(parser)
    _add_where(parser)
    _add_how(parser)


def _add_what(parser: ArgumentParser) -> None:
    what = parser.add_argument_group("what to run")
    what.add_argument("--kind", default="command", choices=[name for name, _ in kinds.choices()])
    what.add_argument(
        "--command",
        action="append",
        dest="commands",
        metavar="LINE",
        help="again: one after another",
    )
    what.add_argument("--shell", help="sh, bash, powershell, pwsh or cmd (default: the device's)")
    what.add_argument(
        "--env", action="append", default=[], type=values.variable, metavar="NAME=VALUE"
    )
    what.add_argument(
        "--payload-file", metavar="FILE", help="the kind's payload as JSON; - reads standard input"
    )


def _add_when(parser: ArgumentParser, *, required: bool = True) -> None:
    group = parser.add_argument_group("when to run it (exactly one of the first seven)")
    when = group.add_mutually_exclusive_group(required=required)
    when.add_argument("--once", type=values.moment, metavar="WHEN", help="2027-01-31T02:00")
    when.add_argument("--every", type=values.amount, metavar="LENGTH", help='"15 minutes"')
    when.add_argument("--daily", type=values.time_of_day, metavar="TIME", help="02:00")
    when.add_argument("--weekly", type=values.weekly, metavar="DAYS", help="mon,thu@02:00")
    when.add_argument(
        "--monthly", type=values.monthly, metavar="DAY", help="31@02:00, last@02:00, 2tue@02:00"
    )
    when.add_argument("--cron", metavar="EXPRESSION", help='"*/15 8-18 * * 1-5"')
    when.add_argument("--by-hand", action="store_true", help="has no time of its own")
    group.add_argument(
        "--at", type=values.time_of_day, metavar="TIME", help="for --weekly and --monthly"
    )
    group.add_argument("--missing-day", choices=["skip", "last"], help="for --monthly 29 to 31")
    group.add_argument("--zone", default="UTC", metavar="ZONE", help="such as Europe/Berlin")
    group.add_argument("--start-at", type=values.moment, metavar="WHEN", help="not before")
    group.add_argument("--end-at", type=values.moment, metavar="WHEN", help="not after")
    group.add_argument("--max-runs", type=int, metavar="NUMBER")


def _add_where(parser: ArgumentParser) -> None:
    where = parser.add_argument_group("where to run it")
    where.add_argument(
        "--device", action="append", default=[], dest="devices", metavar="NAME", help="or id"
    )
    where.add_argument(
        "--group", action="append", default=[], dest="groups", metavar="NAME", help="or id"
    )


def _add_how(parser: ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument("--description")
    how.add_argument("--tag", action="append", dest="tags")
    how.add_argument("--timeout", type=values.seconds, metavar="LENGTH", help="10m")
    how.add_argument("--offline-policy", choices=ScheduledTask.OfflinePolicy.values)
    how.add_argument("--overlap-policy", choices=ScheduledTask.OverlapPolicy.values)
    how.add_argument("--misfire-policy", choices=ScheduledTask.MisfirePolicy.values)
    _add_fields(how, """any other field of a task: --set 'rollout={"strategy": "canary"}'""")


def _add_fields(parser: _ArgumentGroup | ArgumentParser, summary: str) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=values.field,
        dest="fields",
        metavar="FIELD=JSON",
        help=summary,
    )


def _list(parser: ArgumentParser) -> None:
    parser.add_argument("--status", choices=ScheduledTask.Status.values)
    parser.add_argument("--tag")
    parser.add_argument("--device", metavar="NAME", help="or id")
    parser.add_argument("--group", metavar="NAME", help="or id")
    parser.add_argument("--search", metavar="TEXT", help="a part of the name")
    _limit(parser, 100)


def _run(parser: ArgumentParser) -> None:
    _task(parser)
    _wait(parser)


def _restore(parser: ArgumentParser) -> None:
    parser.add_argument("execution", metavar="EXECUTION", help="its id")
    parser.add_argument("--device", metavar="NAME", help="or id: on this one alone")
    door.add_yes(parser)
    _wait(parser)


def _wait(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        action="store_true",
        help="show the output as it comes, and exit with the result of the run",
    )


def _delete(parser: ArgumentParser) -> None:
    _task(parser)
    door.add_yes(parser)


def _executions(parser: ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", metavar="TASK", help=_TASK_HELP)
    parser.add_argument("--status", choices=Execution.Status.values)
    _limit(parser, 20)


def _preview(parser: ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", metavar="TASK", help=_TASK_HELP)
    _add_when(parser, required=False)
    _add_fields(parser, """any other field of a rule: --set 'excluded_dates=["2027-12-24"]'""")
    parser.add_argument(
        "--count", type=int, default=10, metavar="NUMBER", help="1 to 100 (default 10)"
    )


def _calendar(parser: ArgumentParser) -> None:
    days, most = calendar.DEFAULT_DAYS, calendar.MOST_DAYS
    parser.add_argument(
        "--from", type=values.moment, dest="since", metavar="WHEN", help="default: now"
    )
    parser.add_argument(
        "--to",
        type=values.moment,
        dest="until",
        metavar="WHEN",
        help=f"at most {most} days later (default {days})",
    )
    parser.add_argument(
        "--zone", default="UTC", metavar="ZONE", help="of --from, --to and what is shown"
    )


def _export(parser: ArgumentParser) -> None:
    parser.add_argument(
        "tasks", nargs="*", metavar="TASK", help=f"{_TASK_HELP} (default: every task)"
    )
    parser.add_argument("--output", metavar="FILE", help="default: standard output")


def _import(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="from export; - reads standard input")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--no-input", action="store_true", dest="yes", help=SUPPRESS)
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete the tasks of the file's owners that are not in the file",
    )


def _limit(parser: ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--limit", type=int, default=default, metavar="NUMBER", help=f"at most (default {default})"
    )
