from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scheduling import clock, dependencies, executions, planning, restoring, schedules, targets
from scheduling.api.calendar import CalendarSerializer
from scheduling.api.serializers import PreviewSerializer, StatsSerializer, TaskSerializer
from scheduling.cli import (
    ahead,
    arguments,
    definition,
    finding,
    following,
    listing,
    porting,
    rendering,
)
from scheduling.cli.door import REFUSED, VerbCommand
from scheduling.models import DeviceRun, Execution, ScheduledTask

if TYPE_CHECKING:
    from django.contrib.auth.models import User

INTERRUPTED = 130
NEXT_RUNS = 5
LATEST_EXECUTIONS = 5
MOST_RESULTS = 50


class Command(VerbCommand):
    """One method a verb: it calls the verb's function and shows what came of it."""

    help = "Plans tasks, runs them and shows what came of them."

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add_to(parser)

    def do_add(self, user: User, options: Mapping[str, Any]) -> None:
        self._show_task(schedules.create(user, definition.of(options, user)), user, options)

    def do_list(self, user: User, options: Mapping[str, Any]) -> None:
        rows = listing.tasks(user, options)
        if options["as_json"]:
            self._json(TaskSerializer(rows, many=True).data)
        elif rows:
            self._out.print(rendering.tasks(rows, targets.summaries(rows, user)))
        else:
            self._out.print(_("No tasks."))

    def do_show(self, user: User, options: Mapping[str, Any]) -> None:
        task = finding.task(user, options["task"])
        self._show_task(task, user, options)
        if options["as_json"]:
            return
        for run in planning.next_runs(task, NEXT_RUNS, clock.now())[1:]:
            self._out.print(_("then %s") % rendering.when(run.due, task.time_zone))
        latest = listing.executions(user, task=task, limit=LATEST_EXECUTIONS)
        if latest:
            self._out.print()
            self._out.print(rendering.executions(latest, with_task=False))

    def do_pause(self, user: User, options: Mapping[str, Any]) -> None:
        task = finding.task(user, options["task"])
        self._show_task(schedules.pause(task, user), user, options)

    def do_resume(self, user: User, options: Mapping[str, Any]) -> None:
        task = finding.task(user, options["task"])
        self._show_task(schedules.resume(task, user), user, options)

    def do_delete(self, user: User, options: Mapping[str, Any]) -> int | None:
        task = finding.task(user, options["task"])
        if not options["yes"] and not self._confirms(task):
            self._err.print(_("Nothing was deleted."))
            return REFUSED
        task_id, name = str(task.pk), task.name
        schedules.delete(task, user)
        if options["as_json"]:
            self._json({"id": task_id, "name": name})
        else:
            self._out.print(rendering.text(_("“%s” is deleted.") % name))
        return None

    def do_run(self, user: User, options: Mapping[str, Any]) -> int | None:
        return self._opened(schedules.execute(finding.task(user, options["task"]), user), options)

    def do_restore(self, user: User, options: Mapping[str, Any]) -> int | None:
        execution = finding.execution(user, options["execution"])
        keeping = restoring.kept_on(execution)
        verb = restoring.restore
        if options["device"]:
            device = finding.device(user, options["device"])
            keeping = [one for one in keeping if one == device.pk]
            verb = partial(restoring.restore_on, device.pk)
        if keeping and not self._agrees(_question(len(keeping)), options):
            return REFUSED
        return self._opened(verb(execution, user), options)

    def do_executions(self, user: User, options: Mapping[str, Any]) -> None:
        task = finding.task(user, options["task"]) if options["task"] else None
        rows = listing.executions(user, task=task, status=options["status"], limit=options["limit"])
        if options["as_json"]:
            self._json([listing.execution_json(row) for row in rows])
        elif rows:
            self._out.print(rendering.executions(rows, with_task=task is None))
        else:
            self._out.print(_("No executions."))

    def do_stats(self, user: User, options: Mapping[str, Any]) -> None:
        numbers = schedules.stats(user)
        if options["as_json"]:
            self._json(StatsSerializer(numbers).data)
            return
        self._out.print(rendering.stats(numbers))
        if numbers["upcoming"]:
            self._out.print()
            self._out.print(rendering.upcoming(numbers["upcoming"]))

    def do_preview(self, user: User, options: Mapping[str, Any]) -> None:
        found = ahead.preview(options, user)
        if options["as_json"]:
            self._json(PreviewSerializer(found).data)
            return
        self._out.print(rendering.text(found.text))
        for warning in found.warnings:
            self._err.print(rendering.text(warning))
        if found.runs:
            self._out.print(ahead.runs(found))

    def do_calendar(self, user: User, options: Mapping[str, Any]) -> None:
        found = ahead.of(options, user)
        if options["as_json"]:
            self._json(CalendarSerializer(found).data)
            return
        table = ahead.rows(found, options["zone"]) if found.rows else _("Nothing in this time.")
        self._out.print(table)
        if found.is_capped:
            self._err.print(_("There is more: ask again from the time of the last row."))

    def do_export(self, user: User, options: Mapping[str, Any]) -> None:
        porting.export(options, user, self._out, self._err)

    def do_import(self, user: User, options: Mapping[str, Any]) -> int | None:
        return porting.import_(options, user, self._out, self._err)

    def _opened(self, execution: Execution, options: Mapping[str, Any]) -> int | None:
        if options["wait"]:
            return self._wait(execution, as_json=options["as_json"])
        if options["as_json"]:
            self._json(listing.execution_json(execution))
        else:
            rows = executions.with_results([execution])
            self._out.print(rendering.executions(rows, with_task=True))
        return None

    def _wait(self, execution: Execution, *, as_json: bool) -> int:
        """With JSON the output goes to standard error, so that standard output stays JSON."""
        out = self._err if as_json else self._out
        try:
            execution = following.Follower(execution, out, self._err).follow()
        except KeyboardInterrupt:
            self._err.print(_("The execution goes on: %s") % execution.pk)
            return INTERRUPTED
        runs = following.last_attempts(execution)
        if as_json:
            self._json({**listing.execution_json(execution), "runs": listing.runs_json(runs)})
        else:
            self._show_result(execution, runs)
        return following.exit_code(execution, runs)

    def _show_result(self, execution: Execution, runs: list[DeviceRun]) -> None:
        self._out.print()
        if runs:
            self._out.print(rendering.results(runs, MOST_RESULTS))
            self._out.print()
        self._out.print(rendering.executions([execution], with_task=True))

    def _show_task(self, task: ScheduledTask, user: User, options: Mapping[str, Any]) -> None:
        if options["as_json"]:
            self._json(TaskSerializer(task).data)
        else:
            prefetch_related_objects([task], dependencies.named(user))
            self._out.print(rendering.task(task, targets.summaries([task], user)[task.pk]))

    def _confirms(self, task: ScheduledTask) -> bool:
        """Names what is destroyed and asks; nobody there to answer means no."""
        running = DeviceRun.objects.filter(execution__task=task).unended().count()
        question = _(
            "This deletes the task “%(name)s” and its plan. %(running)s runs under way are"
            " cancelled; its %(executions)s executions stay readable. Go on? [y/N] "
        )
        words = {"name": task.name, "running": running, "executions": task.executions.count()}
        if number := dependencies.lost_with([task]).count():
            said = ngettext(
                "%(n)s task no longer starts after it.",
                "%(n)s tasks no longer start after it.",
                number,
            )
            self._err.print(said % {"n": number})
        self._err.print(rendering.text(question % words), end="")
        try:
            return input().strip().lower() in ("y", "yes")
        except EOFError:
            self._err.print(_("Nobody answers here: say --yes."))
            return False

    def _json(self, value: object) -> None:
        rendering.print_json(self._out, value)


def _question(number: int) -> str:
    said = ngettext(
        "On %(n)s device the files are made again what they were before, and those that were not"
        " there go.",
        "On %(n)s devices the files are made again what they were before, and those that were not"
        " there go.",
        number,
    )
    return said % {"n": number}
