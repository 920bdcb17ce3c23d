"""People at work while things break: executions of all sorts, started through the API by somebody
who comes again, with the same idempotency key, until there is an answer."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.fleet import Fleet

_AGAIN_SECONDS = 0.25
_NOT_NOW = frozenset({409, 429, 500, 502, 503, 504})


@dataclass(slots=True)
class Load:
    """Executions of a mix of tasks, as long as `is_wanted` says that there may be more. `answered`
    has, by idempotency key, the task and the execution the server says it opened for it; a key is
    never given up."""

    fleet: Fleet
    chance: random.Random
    executions_per_second: float
    is_wanted: Callable[[], bool] = lambda: True
    tasks: list[dict[str, Any]] = field(default_factory=list)
    repeating: list[dict[str, Any]] = field(default_factory=list)
    answered: dict[str, tuple[str, str]] = field(default_factory=dict)
    cancels: int = 0
    failure: BaseException | None = None
    last_answer: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)

    def prepare(self, *, scale: float = 1.0) -> None:
        """One task of every sort; `scale` is on how long their commands take."""
        seed = self.chance.randrange(2**32)
        quick = {"seed": seed, "stdout_bytes": 700}
        sorts: list[dict[str, Any]] = [
            quick,
            quick,
            {"seed": seed, "stdout_bytes": 40_000, "stderr_bytes": 9_000, "seconds": 0.5 * scale},
            {"seed": seed, "stdout_bytes": 2_000, "seconds": 3 * scale},
            {**quick, "exit_code": 3, "retry": {"max_attempts": 2, "backoff_seconds": 1}},
            {**quick, "rollout": {"strategy": "rolling", "batch_size": "40%"}},
            {**quick, "offline_policy": "skip"},
            {**quick, "seconds": 0.4 * scale, "overlap_policy": "skip"},
            {**quick, "expires_after_seconds": 5},
            {"seed": seed, "stdout_bytes": 900, "seconds": 60, "timeout_seconds": 2},
        ]
        some = max(1, len(self.fleet.ids) // 2)
        for place, sort in enumerate(sorts):
            devices = self.fleet.ids if place else self.chance.sample(self.fleet.ids, some)
            self.add(devices=devices, **sort)

    def add(self, **fields: Any) -> None:
        """One more sort; `fields` are those of Fleet.task."""
        self.tasks.append(self.fleet.task(**fields))

    def repeat(self) -> None:
        """Tasks that fall due by themselves as well, every few seconds while the load lasts, unless
        the device has still to do with the time before: more would only wait."""
        for seconds in (10, 11, 12, 13):
            interval = {"every": seconds, "unit": "seconds"}
            rule: dict[str, Any] = {
                "recurrence_type": "interval",
                "recurrence_config": interval,
                "overlap_policy": "skip",
            }
            self.repeating.append(self.fleet.task(seed=self.chance.randrange(2**32), **rule))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Works until the block ends, and until every key has its answer."""
        worker = threading.Thread(target=self._work, name="load", daemon=True)
        worker.start()
        try:
            yield
        finally:
            self._stopping.set()
            worker.join(180)
        said = f"an execution was not answered within 180 s: {self.last_answer}"
        assert not worker.is_alive(), said
        if self.failure is not None:
            raise self.failure

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                if self.is_wanted():
                    self._execute(self.chance.choice(self.tasks))
                if self.answered and self.chance.random() < 0.05:
                    self._cancel()
                pause = 1 / self.executions_per_second - (time.monotonic() - began)
                self._stopping.wait(max(0.0, pause))
            for task in self.repeating:
                self._pause(task)
        except BaseException as problem:
            self.failure = problem

    def _execute(self, task: dict[str, Any]) -> None:
        key = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        answer = self._ask(f"/api/schedule/tasks/{task['id']}/execute", {"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        self.answered[key] = (task["id"], answer.json()["id"])

    def _pause(self, task: dict[str, Any]) -> None:
        """409 says that it is paused: an earlier try of ours did it, and its answer was lost."""
        path = f"/api/schedule/tasks/{task['id']}/pause"
        answer = self._ask(path, {}, _NOT_NOW - {409})
        assert answer.status_code in (200, 409), answer.text

    def _cancel(self) -> None:
        """Something that was started lately; it may have ended meanwhile, which is 409."""
        _task, execution = self.chance.choice(list(self.answered.values())[-5:])
        answer = self._try(f"/api/schedule/executions/{execution}/cancel", {})
        self.cancels += answer is not None and answer.status_code == 202

    def _ask(
        self, path: str, headers: dict[str, str], not_now: frozenset[int] = _NOT_NOW
    ) -> httpx.Response:
        """The answer, which may be that of a try whose own answer was lost."""
        while True:
            answer = self._try(path, headers)
            if answer is not None and answer.status_code not in not_now:
                return answer
            # Not `_stopping`: who asked for something wants to know what became of it.
            time.sleep(_AGAIN_SECONDS)

    def _try(self, path: str, headers: dict[str, str]) -> httpx.Response | None:
        api = self.fleet.system.api
        try:
            answer = api.post(path, json={}, headers=headers, timeout=15)
        except httpx.TransportError as problem:
            self.last_answer = repr(problem)
            return None
        self.last_answer = f"{answer.status_code} {answer.text[:500]}"
        return answer
