"""Without any one of its rules the protocol breaks a promise, and the model finds out which."""

from __future__ import annotations

import pytest

from tests.protocol_model.device import Device
from tests.protocol_model.explorer import explore
from tests.protocol_model.mutants import DEVICE, REDUNDANT, SERVER, Mutant, Redundant
from tests.protocol_model.server import Server
from tests.protocol_model.test_exploring import IS_THOROUGH
from tests.protocol_model.world import Model

MOST_STATES = 200_000 if IS_THOROUGH else 400


@pytest.mark.parametrize("mutant", [*DEVICE, *SERVER], ids=str)
def test_without_one_rule_a_promise_breaks(device: Device, server: Server, mutant: Mutant) -> None:
    changed = server.without(*mutant.words, has_triggers=mutant.has_triggers)
    with mutant.patch():
        found = explore(
            Model(device if mutant.words else device.anew(), changed),
            mutant.bounds,
            only=mutant.breaks,
            most_states=15_000,
        )
    assert found.violation is not None, f"{found.states} states, and nothing is broken"


@pytest.mark.parametrize("one", REDUNDANT, ids=str)
def test_what_another_rule_makes_up_for_breaks_nothing_alone(
    device: Device, server: Server, one: Redundant
) -> None:
    changed = server.without(*one.words, has_triggers=one.has_triggers)
    with one.patch():
        found = explore(Model(device, changed), one.bounds, most_states=MOST_STATES)
    assert found.violation is None, f"it was to be redundant, {one.because}: {found.violation}"
