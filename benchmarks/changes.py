"""How soon somebody sees on an open page what another person changed.

Starts the system as `make up` does. One client changes tasks over the API; another has the task list
open, hears on `/ws/live` as a page does, and asks for the list again as soon as that may.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from websockets import Origin
from websockets.sync.client import ClientConnection, connect

from benchmarks.report import milliseconds, p95
from benchmarks.web import signed_in
from tests.running import BY_HAND, RunningSystem, running_system

CHANGES = 60
WITHIN_SECONDS = 10.0
SHORTEST_PAUSE_SECONDS = 0.5  # between two questions of one page: static/js/live.js


@dataclass(frozen=True, slots=True)
class Changes:
    """Seconds from just before the request that changes a task until the other person's socket says
    so, and until that person's page shows it; `page` is what the page alone takes."""

    heard: tuple[float, ...]
    shown: tuple[float, ...]
    page: tuple[float, ...]


def measure(number: int = CHANGES) -> Changes:
    with running_system() as system:
        return measure_on(system, number)


def measure_on(system: RunningSystem, number: int) -> Changes:
    task = _task(system)
    headers = signed_in(system)
    reader = http.client.HTTPConnection("127.0.0.1", system.port)
    address = f"ws://127.0.0.1:{system.port}/ws/live"
    heard, shown, page = [], [], []
    with connect(address, origin=Origin(system.address), additional_headers=headers) as socket:
        _text(reader, headers)
        for place in range(number):
            time.sleep(SHORTEST_PAUSE_SECONDS)
            name = f"Renamed {place}"
            began = time.perf_counter()
            answer = system.api.patch(f"/api/schedule/tasks/{task}", json={"name": name})
            assert answer.status_code == 200, answer.text
            _wait_for(socket, task)
            heard.append(time.perf_counter() - began)
            asked = time.perf_counter()
            text = _text(reader, headers)
            page.append(time.perf_counter() - asked)
            shown.append(time.perf_counter() - began)
            assert name in text
    reader.close()
    return Changes(tuple(heard), tuple(shown), tuple(page))


def _task(system: RunningSystem) -> str:
    body = {
        "name": "Not renamed yet",
        "task_type": "command",
        "command_payload": {"command": "true"},
        "device_ids": [system.device()["id"]],
        **BY_HAND,
    }
    return str(system.post("/api/schedule/tasks", body)["id"])


def _wait_for(socket: ClientConnection, task: str) -> None:
    """Until the socket has said that this task changed. Raises TimeoutError."""
    while True:
        said = json.loads(socket.recv(WITHIN_SECONDS))
        if (said["object"], said["id"]) == ("task", task):
            return


def _text(reader: http.client.HTTPConnection, headers: dict[str, str]) -> str:
    """The list as an open page asks for it again."""
    asks = {"HX-Request": "true", "HX-Target": "task-list", **headers}
    reader.request("GET", "/tasks/", headers=asks)
    answer = reader.getresponse()
    assert answer.status == 200
    return answer.read().decode()


_TEXT = """
## What somebody else changed

{number} changes of a task over the API, each seen by another person with the task list open: the socket
says what changed, and the page asks for the list again. Load average before: {load}.

| ms after the change was asked for | median | p95 | worst |
|---|---|---|---|
| the other page hears of it | {heard} |
| the other page shows it | {shown} |
| of which the list alone takes | {page} |

The median is **{ratio:.1f}** times the list alone; at most one second is the goal. A page that asked
less than half a second before waits for that half second first.
"""


def render(found: Changes, load: str) -> str:
    return _TEXT.format(
        number=len(found.shown),
        load=load,
        heard=_row(found.heard),
        shown=_row(found.shown),
        page=_row(found.page),
        ratio=statistics.median(found.shown) / statistics.median(found.page),
    )


def _row(seconds: Sequence[float]) -> str:
    return milliseconds(statistics.median(seconds), p95(seconds), max(seconds))
