"""The table of verdicts, cell by cell: every other answer breaks a promise, or it is said why not."""

from __future__ import annotations

import pytest

from tests.protocol_model.cells import Altered, Cell, Change, changes, seeds
from tests.protocol_model.device import Device
from tests.protocol_model.explorer import explore
from tests.protocol_model.redundant import REASONS
from tests.protocol_model.server import Server
from tests.protocol_model.states import Bounds, World
from tests.protocol_model.test_exploring import IS_THOROUGH
from tests.protocol_model.world import Model

WHERE = [
    Bounds(cuts=1),
    Bounds(crashes=1),
    Bounds(restores=1),
    Bounds(cuts=1, people=1),
    Bounds(cuts=1, delays=1),
    Bounds(restores=1, delays=1),
    Bounds(clones=1),
]
Seeds = dict[Cell, list[World]]
_MOST_STATES = 1_500
_MOST_SEEDED = 10_000_000 if IS_THOROUGH else 6_000


@pytest.mark.timeout(600)
def test_every_other_verdict_breaks_a_promise_or_it_is_said_why_not(
    device: Device, server: Server
) -> None:
    broken: dict[str, str] = {}
    tried: set[str] = set()
    # That something breaks nothing takes long to find out: `make thorough` does.
    excused = set() if IS_THOROUGH else REASONS.keys()
    for bounds in WHERE:
        found, answers = seeds(device, server, bounds, _MOST_SEEDED)
        for change in changes(answers):
            tried.add(str(change))
            if str(change) in excused or str(change) in broken:
                continue
            if what := _harm(device, server, bounds, change, found):
                broken[str(change)] = what
    harmless = tried - broken.keys()
    assert harmless - REASONS.keys() == set(), "these break nothing, and nobody says why"
    if IS_THOROUGH:
        assert REASONS.keys() - harmless == set(), "these are said to break nothing, and do"


def _harm(device: Device, server: Server, bounds: Bounds, change: Change, found: Seeds) -> str:
    model = Model(device, Altered(server, change))
    seen = explore(model, bounds, begin=found[change.cell], most_states=_MOST_STATES)
    return seen.violation.what if seen.violation else ""
