"""Whatever the way between agent and server does to single frames, every run ends right."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from functools import partial
from typing import get_args

import pytest

from devices.agent import protocol
from devices.agent.protocol.codec import _type_name as type_name
from tests.faults import proxy
from tests.faults.devices.conftest import Case
from tests.faults.fleet import QUICK
from tests.faults.proxy import DOWN, UP, Between, Fate, Rule, Seen, Way
from tests.running import until

ENVIRONMENT = {**QUICK, "DEPLOYX_AGENT_KILL_GRACE_SECONDS": "1"}

# Late and not lost, for what is lost is counted; no connection lives as long.
NEVER_SECONDS = 3_600.0
# A lost frame may cost a session, and a new one half a minute.
PATIENCE_SECONDS = 240.0

# Sent about no run: the server keeps a device's facts as they were until they change again.
WITHOUT_A_RUN = {(UP, "facts")}
# Files and updates have tests of their own; a recall is only made after a restore.
ELSEWHERE = {(UP, "fetch"), (DOWN, "source"), (DOWN, "update"), (UP, "recalled"), (DOWN, "recall")}
OF_THE_HANDSHAKE = {(UP, "hello"), (DOWN, "challenge"), (DOWN, "welcome")}
EVERY = {(UP, type_name(kind)) for kind in get_args(protocol.AgentFrame)} | {
    (DOWN, type_name(kind)) for kind in get_args(protocol.ServerFrame)
}
LOST = sorted(EVERY - WITHOUT_A_RUN - ELSEWHERE - OF_THE_HANDSHAKE)


@dataclass(slots=True)
class Holding:
    """The rule, and no START comes through for as long as `is_on`: agents say it again."""

    rule: Rule
    is_on: bool = False

    def __call__(self, seen: Seen) -> Fate:
        fate = self.rule(seen)
        return [NEVER_SECONDS for _ in fate] if self.is_on and seen.type == "start" else fate


def hold_starts(ways: list[Way], *, is_on: bool) -> None:
    for way in ways:
        assert isinstance(way.rule, Holding)
        way.rule.is_on = is_on


def course(case: Case, ways: list[Way]) -> None:
    """Runs that bring every kind of frame about: some succeed, and are cancelled while they run and
    before that, rejected, and given back by agents that stop."""
    output = {"stdout_bytes": 90_000, "stderr_bytes": 20_000, "seconds": 0.5}
    until_all = partial(case.until_all, seconds=PATIENCE_SECONDS)
    (succeeding,) = case.executions(1, seed=case.seed, **output)
    until_all(succeeding, "succeeded")
    (rejected,) = case.executions(1, command_payload={"command": "true", "run_as": "nobody"})
    (cancelled,) = case.executions(1, seconds=600, timeout_seconds=900)
    until_all(cancelled, "running")
    case.fleet.system.post(f"/api/schedule/executions/{cancelled}/cancel", status=202)
    until_all(cancelled, "cancelled")
    until_all(rejected, "rejected")
    hold_starts(ways, is_on=True)
    before = [way.met[DOWN, "stop"] for way in ways]
    (stopped,) = case.executions(1)
    until_all(stopped, "claimed")
    case.fleet.system.post(f"/api/schedule/executions/{stopped}/cancel", status=202)
    until_all(stopped, "cancelled")
    hold_starts(ways, is_on=False)
    # In bad weather a new session's verdict may come before the answer.
    devices = case.fleet.devices
    until(
        lambda: (
            all(
                way.met[DOWN, "stop"] > stops or not one.entries()
                for way, one, stops in zip(ways, devices, before, strict=True)
            )
            or None
        ),
        PATIENCE_SECONDS,
        what="every START answered",
    )
    hold_starts(ways, is_on=True)
    (returned,) = case.executions(1, seed=case.seed, stdout_bytes=300)
    until_all(returned, "claimed")
    until(
        lambda: have_it(case, returned) or None, PATIENCE_SECONDS, what="every claim written down"
    )
    for device in devices:
        device.stop()
    hold_starts(ways, is_on=False)
    for device in devices:
        device.start()
    until_all(returned, "succeeded")


def have_it(case: Case, execution: str) -> bool:
    """Whether each agent's journal has its run of the execution."""
    sql = "SELECT device_id::text, id::text FROM scheduled_task_device_runs WHERE execution_id = %s"
    runs = dict(case.grounds.site.query(sql, execution))
    return all(runs.get(device.id) in device.entries() for device in case.fleet.devices)


def go_through(case: Case, between: Between, rules: list[Rule]) -> list[Way]:
    """A device for each rule, all of them at once."""
    case.fleet.join(len(rules), environment=ENVIRONMENT)
    ways = between.put_before(*case.fleet.devices)
    for way, rule in zip(ways, rules, strict=True):
        way.rule = Holding(rule)
    case.fleet.start()
    course(case, ways)
    return ways


@pytest.mark.timeout(900)
def test_every_kind_of_frame_may_be_lost_once(case: Case, between: Between) -> None:
    ways = go_through(case, between, [proxy.lose_once(*kind) for kind in LOST])
    # Where a session broke at that very moment, a frame of the kind was not called for.
    while missing := [kind for kind, way in zip(LOST, ways, strict=True) if not way.met[kind]]:
        sys.stdout.write(f"once more for {missing}\n")
        course(case, ways)
    assert [way.faults["lost"] for way in ways] == [1] * len(LOST)
    case.settled("each kind of frame lost once", cases=len(LOST))


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_frame_of_the_handshake_may_be_lost(case: Case, between: Between) -> None:
    lost = sorted(OF_THE_HANDSHAKE)
    ways = go_through(case, between, [proxy.lose_once(*kind) for kind in lost])
    assert [way.faults["lost"] for way in ways] == [1] * len(lost)
    case.settled("a frame of the handshake lost", cases=len(lost))


def bad_weather(chance: random.Random) -> list[Rule]:
    return [
        proxy.lose_some(random.Random(chance.random()), 0.2),
        proxy.lose_some(random.Random(chance.random()), 0.2),
        proxy.double,
        proxy.reorder(random.Random(chance.random()), 0.5),
        proxy.delay_some(random.Random(chance.random()), 0.2, 6.0),
    ]


def until_it_was_bad(ways: list[Way]) -> None:
    """Heartbeats alone bring that about in time."""

    def was_bad() -> bool:
        lossy, doubling, late = ways[:2], ways[2], ways[3:]
        return (
            all(way.faults["lost"] > 5 for way in lossy)
            and doubling.faults["doubled"] > 10
            and all(way.faults["late"] > 5 for way in late)
        )

    until(was_bad, what="frames lost, doubled and late")


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_frames_may_be_lost_by_the_dozen_doubled_reordered_and_late(
    case: Case, between: Between, chance: random.Random
) -> None:
    ways = go_through(case, between, bad_weather(chance))
    until_it_was_bad(ways)
    case.settled("a fifth of the frames lost, doubled, reordered, late", cases=len(ways))
