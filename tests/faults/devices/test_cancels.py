"""Cancels that meet the GO: what was cancelled before it has not run, what was cancelled after it has
ended, and nothing is in between."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest

from tests.faults.devices.conftest import Case
from tests.faults.fleet import QUICK, family_of
from tests.faults.proxy import DOWN, PASSED, Between, Fate, Seen
from tests.running import until

DEVICES = 5
AROUND_SECONDS = 0.05
# START waits so long at the proxy that a cancel, slow as its request may be, can still overtake it.
HELD_SECONDS = 0.5
STEP_SECONDS = 0.005


@dataclass(slots=True)
class Cancels:
    """Cancels every run, once. Of eight, one is cancelled before its START gets through, and one
    when its GO is on its way, however slow the machine; the others within 50 ms of the GO. `lead` is
    by how much a request must begin before START is let through for its cancel to fall together with
    the GO: each answer says on which side of it the cancel fell, and so corrects it."""

    api: httpx.Client
    chance: random.Random
    lead: float = 0.0
    answers: list[int] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)
    _before: set[str] = field(default_factory=set)
    _after: set[str] = field(default_factory=set)
    _clients: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def rule(self, seen: Seen) -> Fate:
        """For the proxy: on its thread, so it only plans."""
        if seen[:2] == (DOWN, "go") and seen.run in self._after:
            self._after.discard(seen.run)
            self._clients.submit(self._cancel, seen.run)
        if seen.type != "start":
            return PASSED
        if seen.run in self._asked:  # said again: lost as well until the cancel is answered
            return () if seen.run in self._before else PASSED
        self._asked.add(seen.run)
        place = len(self._asked) % 8
        if place == 0:
            self._before.add(seen.run)
            self._clients.submit(self._cancel, seen.run)
            return ()
        if place == 1:
            self._after.add(seen.run)
            return PASSED
        around = self.chance.uniform(-AROUND_SECONDS, AROUND_SECONDS)
        moment = max(0.0, HELD_SECONDS - self.lead + around)
        cancel = partial(self._clients.submit, self._cancel_around, seen.run)
        threading.Timer(moment, cancel).start()
        return (HELD_SECONDS,)

    def _cancel_around(self, run: str) -> None:
        came_first = self._cancel(run)
        self.lead += -STEP_SECONDS if came_first else STEP_SECONDS

    def _cancel(self, run: str) -> bool:
        """Whether it came before the GO."""
        answer = self.api.post(f"/api/schedule/runs/{run}/cancel", json={})
        self._before.discard(run)
        self.answers.append(answer.status_code)
        return bool(answer.json().get("status") == "cancelled")


def cancel_at_go(case: Case, between: Between, chance: random.Random, number: int) -> None:
    case.fleet.join(DEVICES, environment={**QUICK, "DEPLOYX_AGENT_KILL_GRACE_SECONDS": "2"})
    cancels = Cancels(case.grounds.site.api, chance)
    for way in between.put_before(*case.fleet.devices):
        way.rule = cancels.rule
    case.fleet.start()
    work = {"seed": case.seed, "stdout_bytes": 300, "seconds": 600, "timeout_seconds": 900}
    case.executions(number // DEVICES, **work)
    until(lambda: len(cancels.answers) == number or None, 600, what="every run cancelled once")
    case.settled("cancelled around GO, three of four within 50 ms", cases=number)
    assert set(cancels.answers) == {202}
    before, after = counts(case)
    assert before + after == number
    assert min(before, after) > number // 10, (before, after)
    devices = case.fleet.devices
    until(lambda: len(family_of(*devices)) == DEVICES, what="nothing left but the agents")


def counts(case: Case) -> tuple[int, int]:
    """How many of the fleet's runs were cancelled before and after their start."""
    sql = (
        "SELECT count(*) FILTER (WHERE started_at IS NULL), count(started_at)"
        " FROM scheduled_task_device_runs WHERE status = 'cancelled'"
        " AND device_id = ANY(%s::uuid[])"
    )
    ((before, after),) = case.grounds.site.query(sql, case.fleet.ids)
    return before, after


@pytest.mark.timeout(900)
def test_a_cancel_meets_the_go(case: Case, between: Between, chance: random.Random) -> None:
    cancel_at_go(case, between, chance, 60)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_a_cancel_meets_the_go_five_hundred_times(
    case: Case, between: Between, chance: random.Random
) -> None:
    cancel_at_go(case, between, chance, 670)
