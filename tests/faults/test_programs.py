"""Web, worker, beat, agents and shims killed while there is work: at random, and the server's at
each step they take in the database."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from tests.faults import gates
from tests.faults.fleet import Device, Fleet
from tests.faults.ground import Ground
from tests.faults.mischief import kill_a_pool_child, kill_a_shim, kill_an_agent
from tests.faults.site import Site, pause

VICTIMS = ("web", "worker", "beat")


def kill_at_random(on: Ground, chance: random.Random, victim: str) -> None:
    if victim in VICTIMS:
        on.site.kill(victim)
        pause(chance.uniform(0, 1))
        on.site.start_again(victim)
    elif victim == "pool child":
        kill_a_pool_child(on.site, chance)
    elif victim == "agent":
        kill_an_agent(on.fleet, chance)
    else:
        kill_a_shim(on.fleet, chance)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_programs_of_all_sorts_are_killed_for_a_few_seconds(
    common: Ground, seed: int, chance: random.Random
) -> None:
    load = common.load(chance, 3)
    load.prepare(scale=0.3)
    victims = [*VICTIMS, "pool child", "agent", "shim"]
    with common.case("each program killed once", seed, cases=len(victims), load=load):
        for victim in chance.sample(victims, len(victims)):
            pause(chance.uniform(0.2, 0.8))
            kill_at_random(common, chance, victim)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", [*VICTIMS, "pool child", "agent", "shim"])
def test_a_program_is_killed_again_and_again(
    common: Ground, seed: int, chance: random.Random, victim: str
) -> None:
    load = common.load(chance, 3)
    load.prepare(scale=0.5)
    with common.case(f"{victim} killed at random", seed, cases=8, load=load):
        for _kill in range(8):
            pause(chance.uniform(0.2, 1.5))
            kill_at_random(common, chance, victim)


@pytest.mark.faults
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("victims", [("web",), ("worker", "beat")], ids=" and ".join)
def test_the_servers_programs_are_killed_at_every_step(
    common: Ground, seed: int, chance: random.Random, victims: Sequence[str]
) -> None:
    steps = [(step, moment) for step in gates.STEPS for moment in gates.MOMENTS]
    load = common.load(chance, 2)
    load.prepare(scale=0.2)
    for code in range(1, 5):  # or it would be long until the next one fails
        load.add(seed=seed, exit_code=code)
    load.repeat()
    name = f"{' and '.join(victims)} killed at every step"
    with common.case(name, seed, cases=len(steps), load=load):
        for step, moment in chance.sample(steps, len(steps)):
            # Somebody comes anew; the other steps are taken by whoever works.
            comes = _gone(common.fleet, chance).start if step.table == "devices_device" else None
            kill_at(common.site, step, moment, victims, comes)


def kill_at(
    site: Site,
    step: gates.Step,
    moment: str,
    victims: Sequence[str],
    begin: Callable[[], None] | None,
) -> None:
    """Whoever takes the step, these programs die as it is taken."""
    with gates.gate(site.services.database_url, step, moment, begin):
        for victim in victims:
            site.kill(victim)
    for victim in victims:
        site.start_again(victim)


def _gone(fleet: Fleet, chance: random.Random) -> Device:
    device = chance.choice(fleet.devices)
    device.stop()
    return device
