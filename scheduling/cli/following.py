"""Watches an execution to its end: its output as it comes, what it waits for, how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from scheduling import outputs, progress, terminal, waiting
from scheduling.models import DeviceRun, Execution

if TYPE_CHECKING:
    from scheduling.models.device_run import DeviceRunQuerySet

LOOK_EVERY_SECONDS = 0.25
# Of the time between two looks; one at an execution with 10,000 runs takes a while.
BUSY_SHARE = 0.2
MOST_WAITING_NAMED = 20


def pause(look_took_seconds: float) -> None:
    time.sleep(max(LOOK_EVERY_SECONDS, look_took_seconds / BUSY_SHARE))


@dataclass(slots=True)
class _Reader:
    """How much of a run was shown, and the beginning of a line that is not whole yet."""

    offset: int = 0
    rest: str = ""


class Follower:
    """Shows one execution on two consoles: output on `out`, remarks on `remarks`."""

    def __init__(self, execution: Execution, out: Console, remarks: Console) -> None:
        self._execution = execution
        self._out, self._remarks = out, remarks
        self._readers: dict[UUID, _Reader] = {}
        self._waiting: dict[UUID, str | None] = {}
        self._has_several = self._runs().values("device").distinct().count() > 1

    def follow(self) -> Execution:
        """The execution, ended. Looks at the database a few times a second."""
        with self._progress() as bar:
            while True:
                began = time.monotonic()
                execution = Execution.objects.get(pk=self._execution.pk)
                self._show_output()
                self._show_waiting()
                self._show_progress(bar)
                if execution.has_ended:
                    return execution
                pause(time.monotonic() - began)

    def _runs(self) -> DeviceRunQuerySet:
        return DeviceRun.objects.filter(execution=self._execution)

    def _show_output(self) -> None:
        """Whatever runs wrote since the last look. A run's end and its last bytes come together."""
        started = self._runs().filter(started_at__isnull=False).defer("terms", "signature")
        for run in started.order_by("started_at", "id"):
            reader = self._readers.setdefault(run.pk, _Reader())
            while reader.offset < run.output_next:
                part = outputs.read(run, offset=reader.offset)
                if part.next_offset == reader.offset:
                    break
                reader.offset = part.next_offset
                self._write(run, reader, part.text)
            if run.has_ended and reader.rest:
                self._write(run, reader, "\n")

    def _write(self, run: DeviceRun, reader: _Reader, new: str) -> None:
        if self._out.is_terminal:
            new = terminal.plain(new)
        if not self._has_several:
            self._out.file.write(new)
            self._out.file.flush()
            reader.rest = "" if new.endswith("\n") else new
            return
        *lines, reader.rest = (reader.rest + new).split("\n")
        for line in lines:
            prefix = Text(f"{terminal.plain(run.device_name)} | ", style="bold")
            self._out.print(prefix.append(line, style="not bold"), soft_wrap=True)

    def _show_waiting(self) -> None:
        """Says once what a device waits for, so that nobody wonders why nothing comes."""
        unstarted = self._runs().unstarted().select_related("execution", "device")
        rows = list(unstarted.order_by("device_name")[:MOST_WAITING_NAMED])
        waiting.explain(rows)
        for run in rows:
            reason = run.waiting_for  # type: ignore[attr-defined]
            if reason in _PASSING or reason == self._waiting.get(run.pk):
                continue
            self._waiting[run.pk] = reason
            name = terminal.plain(run.device_name)
            says = _("The rollback of %(name)s waits: %(why)s")
            says = says if run.rolls_back_id else _("%(name)s waits: %(why)s")
            self._remarks.print(says % {"name": name, "why": reason.label})

    @contextmanager
    def _progress(self) -> Iterator[Progress | None]:
        if not (self._out.is_terminal and self._has_several):
            yield None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._out, transient=True) as bar:
            bar.add_task(_("Devices"), total=None)
            yield bar

    def _show_progress(self, bar: Progress | None) -> None:
        if bar is None:
            return
        counts = progress.counts([self._execution.pk])[self._execution.pk]
        total = sum(counts.values())
        open_ones = sum(counts[status] for status in DeviceRun.UNENDED)
        bar.update(bar.task_ids[0], total=total, completed=total - open_ones)


# What every run passes through within a second or two is not worth a line.
_PASSING = frozenset({waiting.WaitingFor.DISPATCHER, waiting.WaitingFor.AGENT})


def last_attempts(execution: Execution) -> list[DeviceRun]:
    """The run of each device by which the execution is judged."""
    runs = execution.runs.filter(progress.COUNTED).select_related("execution", "device")
    return list(runs.order_by("device_name", "id"))


def exit_code(execution: Execution, runs: list[DeviceRun]) -> int:
    """0 for success; the command's own code where a single device failed with one; else 1."""
    if execution.status == Execution.Status.SUCCESS:
        return 0
    code = runs[0].exit_code if len(runs) == 1 else None
    return code if code is not None and 1 <= code <= 255 else 1
