"""Pages and the API on the whole system, over a history of two lengths, beside a bare Django view.

Starts the system as `make up` does, with data of its own, and fills its PostgreSQL with tasks, devices
and runs. Every number of one run comes from the same web process.
"""

from __future__ import annotations

import http.client
import math
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests import history
from tests.running import BY_HAND, CHECKOUT, RunningSystem, free_port, running_system, until

TASKS, DEVICES = 10_000, 50_000
LENGTHS = (100_000, 1_000_000)
RUNS_AN_EXECUTION = 10
CLIENTS, SECONDS = 4, 8.0
BARE, TASK_LIST, EXECUTION = "a bare Django view", "task list", "an execution on all devices"
API_LIST = "API: tasks"
_SIGN_IN = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
user = User.objects.get(username="admin")
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


@dataclass(frozen=True, slots=True)
class Page:
    """One address asked for again and again: `alone` by one client, the rest by several at once;
    seconds, and the bytes of one answer."""

    name: str
    runs: int
    size: int
    alone: tuple[float, ...]
    together: tuple[float, ...]
    per_second: float


@dataclass(frozen=True, slots=True)
class Filled:
    """What the pages are about: the execution on every device, and the task with most history."""

    execution: str
    task: str
    run: str


def measure(
    lengths: Sequence[int] = LENGTHS,
    *,
    tasks: int = TASKS,
    devices: int = DEVICES,
    seconds: float = SECONDS,
) -> list[Page]:
    """`lengths` are of the history in runs, rising, the great execution's included."""
    with running_system(DEPLOYX_RECONCILE="off") as system, _database(system) as database:
        filled = fill(system, database, tasks, devices)
        headers, present, found = signed_in(system), devices, []
        for length in lengths:
            lengthen(database, filled, (length - present) // RUNS_AN_EXECUTION)
            present = length
            for name, path in _pages(filled).items():
                found.append(_measure(name, length, system.port, path, headers, seconds))
            with _bare_view() as port:
                found.append(_measure(BARE, length, port, "/", {}, seconds))
        return found


def _pages(filled: Filled) -> dict[str, str]:
    return {
        TASK_LIST: "/tasks/",
        "one task, with a tenth of the history": f"/tasks/{filled.task}/",
        "all executions": "/executions/",
        "all that failed": "/executions/?status=failed",
        EXECUTION: f"/executions/{filled.execution}/",
        "its failed devices": f"/executions/{filled.execution}/?show=failed",
        API_LIST: "/api/schedule/tasks",
        "API: executions": "/api/schedule/executions",
        "API: runs of an execution": f"/api/schedule/executions/{filled.execution}/runs",
        "overview": "/",
    }


def fill(
    system: RunningSystem, database: psycopg.Connection[Any], tasks: int, devices: int
) -> Filled:
    """Tasks and devices, and one execution on all of these devices, all of them copies."""
    device = system.device()
    body = {
        "name": "Disk space",
        "task_type": "command",
        "command_payload": {"command": "df -h"},
        "device_ids": [device["id"]],
        **BY_HAND,
    }
    task = system.post("/api/schedule/tasks", body)["id"]
    execution = system.post(f"/api/schedule/tasks/{task}/execute", status=202)["id"]
    system.ended(execution)
    run = system.runs(execution)[0]["id"]
    cursor = database.cursor()
    history.devices(cursor, device["id"], devices)
    history.tasks(cursor, task, tasks - 1)
    history.runs(cursor, run, devices - 1)
    history.count(cursor, execution)
    return Filled(execution, task, run)


def lengthen(database: psycopg.Connection[Any], filled: Filled, executions: int) -> None:
    """So many more executions, each on as many devices; a tenth of them the one task's."""
    cursor = database.cursor()
    history.executions(cursor, filled.execution, filled.run, executions, runs=RUNS_AN_EXECUTION)
    cursor.execute("VACUUM ANALYZE")


@contextmanager
def _database(system: RunningSystem) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(system.database_url, autocommit=True) as database:
        yield database


def signed_in(system: RunningSystem) -> dict[str, str]:
    """The headers of somebody who has signed in."""
    key = system.manage("shell", "--verbosity", "0", "-c", _SIGN_IN).stdout.split()[-1]
    return {"Cookie": f"sessionid={key}"}


@contextmanager
def _bare_view() -> Iterator[int]:
    port = free_port()
    argv = ["uvicorn", "benchmarks.bare_view:application", "--no-access-log", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *argv, "--log-level", "warning"], cwd=CHECKOUT
    )
    try:
        until(lambda: _answers(port), what="the bare view")
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return bool(_ask(http.client.HTTPConnection("127.0.0.1", port), "/", {}))
    except OSError:
        return False


def _measure(
    name: str, runs: int, port: int, path: str, headers: Mapping[str, str], seconds: float
) -> Page:
    size = _ask(http.client.HTTPConnection("127.0.0.1", port), path, headers)
    alone = _clients(1, port, path, headers, seconds / 2)
    began = time.perf_counter()
    together = _clients(CLIENTS, port, path, headers, seconds)
    per_second = len(together) / (time.perf_counter() - began)
    return Page(name, runs, size, alone, together, per_second)


def _clients(
    number: int, port: int, path: str, headers: Mapping[str, str], seconds: float
) -> tuple[float, ...]:
    """The seconds of every answer that so many clients got, each asking again at once."""
    took: list[float] = []
    until_moment = time.perf_counter() + seconds

    def ask_again_and_again() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (began := time.perf_counter()) < until_moment:
            _ask(connection, path, headers)
            took.append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask_again_and_again) for _number in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(sorted(took))


def _ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> int:
    """The bytes of the answer. Raises AssertionError where it is not the page."""
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, (path, answer.status)
    return len(body)


_TEXT = """
## Pages and the API over a long history

The whole system as `make up` starts it: one web process (uvicorn), PostgreSQL beside it, {tasks:,} tasks,
{devices:,} devices, and one execution on all of them, which the pages of an execution show. One client
alone, then {clients} that each ask again at once, on the same cores as the server; load average before:
{load}. The bare view is a Django project of its own with no middleware and no database, under uvicorn
in the same run.

| | runs in the history | KiB | alone, p50 · p99 | {clients} clients, p50 · p99 | requests a second |
|---|---|---|---|---|---|
{rows}

Over {most:,} runs a page takes alone at most **{growth:.2f}** times what it takes over {least:,}
({slowest}), and in the median **{usual:.2f}** times. The task list costs as much as **{list_ratio:.0f}**
bare views, the page of the great execution **{page_ratio:.0f}**, the list of the API **{api_ratio:.0f}**.
"""


def render(found: Sequence[Page], load: str, *, tasks: int = TASKS, devices: int = DEVICES) -> str:
    least, most = min(one.runs for one in found), max(one.runs for one in found)
    alone = {(one.name, one.runs): statistics.median(one.alone) for one in found}
    names = [name for name in dict.fromkeys(one.name for one in found) if name != BARE]
    growth = {name: alone[name, most] / alone[name, least] for name in names}
    slowest = max(growth, key=lambda name: growth[name])
    bare = alone[BARE, most]
    return _TEXT.format(
        load=load,
        tasks=tasks,
        devices=devices,
        clients=CLIENTS,
        rows="\n".join(_row(one) for name in (*names, BARE) for one in found if one.name == name),
        most=most,
        least=least,
        growth=growth[slowest],
        slowest=slowest,
        usual=statistics.median(growth.values()),
        list_ratio=alone[TASK_LIST, most] / bare,
        page_ratio=alone[EXECUTION, most] / bare,
        api_ratio=alone[API_LIST, most] / bare,
    )


def _row(one: Page) -> str:
    cells = (
        one.name,
        f"{one.runs:,}",
        f"{one.size / 1024:.0f}",
        _spread(one.alone),
        _spread(one.together),
        f"{one.per_second:,.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _spread(seconds: Sequence[float]) -> str:
    p99 = sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]
    return f"{statistics.median(seconds) * 1000:.1f} · {p99 * 1000:.1f} ms"
