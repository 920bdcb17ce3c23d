"""One scheduler in a process of its own, as `celery beat` drives it, and what each part of its work
takes. `python -m benchmarks.measured_beat SCHEDULER` reads a command a line and answers each with JSON:

start · idle ROUNDS · change TASK · serve (until the next line; answers when each task was announced)
"""

from __future__ import annotations

import json
import os
import select
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django
import psutil
from celery import signals
from celery.utils.imports import symbol_by_name

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployx.settings")
django.setup()

from django.db import transaction  # noqa: E402
from django_celery_beat.models import ClockedSchedule, PeriodicTask, PeriodicTasks  # noqa: E402

from deployx.celery import app  # noqa: E402
from scheduling import clock  # noqa: E402
from scheduling.models import ScheduledTask  # noqa: E402

OPEN_DUE = "scheduling.tasks.open_due"
GIVE_UP_SECONDS = 120.0


class MeasuredBeat:
    def __init__(self, scheduler: str) -> None:
        self._class = symbol_by_name(scheduler)
        self._scheduler: Any = None
        self.announced: dict[str, float] = {}
        signals.after_task_publish.connect(self._published, sender=OPEN_DUE, weak=False)

    def start(self) -> float:
        """Seconds until its first round is done: from then on it works."""
        began = time.perf_counter()
        self._scheduler = self._class(app=app, max_interval=1)
        self._scheduler.tick()
        return time.perf_counter() - began

    def idle(self, rounds: str) -> float:
        """The median seconds of a round that finds nothing to do."""
        return statistics.median(self._timed() for _round in range(int(rounds)))

    def change(self, task: str) -> float:
        """Seconds of its rounds from a task's change, due at once, until it is announced."""
        make_due(task)
        began = time.perf_counter()
        while task not in self.announced:
            if time.perf_counter() - began > GIVE_UP_SECONDS:
                raise TimeoutError(f"the change was not seen within {GIVE_UP_SECONDS:.0f} s")
            self._scheduler.tick()
        return time.perf_counter() - began

    def serve(self) -> dict[str, Any]:
        self.announced.clear()
        while not select.select([sys.stdin], [], [], 0)[0]:
            if (pause := self._scheduler.tick()) and pause > 0:
                time.sleep(pause)
        return {"announced": self.announced, "memory": psutil.Process().memory_info().rss}

    def _timed(self) -> float:
        began = time.perf_counter()
        self._scheduler.tick()
        return time.perf_counter() - began

    def _published(self, body: Any, **_more: Any) -> None:
        moment = time.time()
        for task, _scheduled_for in body[0][0]:
            self.announced.setdefault(task, moment)


def make_due(task: str) -> None:
    """An edit, as a person's: the task's next occurrence is now."""
    now = clock.now()
    with transaction.atomic():
        ScheduledTask.objects.filter(pk=task).update(next_run_time=now, next_scheduled_for=now)
        clocked = ClockedSchedule.objects.create(clocked_time=now)
        PeriodicTask.objects.filter(scheduled_task=task).update(
            interval=None, clocked=clocked, one_off=True, last_run_at=None
        )
    PeriodicTasks.update_changed()


def main(scheduler: str) -> None:
    beat = MeasuredBeat(scheduler)
    commands: dict[str, Callable[..., Any]] = {
        "start": beat.start, "idle": beat.idle, "change": beat.change, "serve": beat.serve,
    }  # fmt: skip
    # Unbuffered, so that whether another line waits can be seen.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as lines:
        while line := lines.readline().decode().split():
            print(json.dumps(commands[line[0]](*line[1:])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
