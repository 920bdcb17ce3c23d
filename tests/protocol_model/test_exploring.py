"""Every order of events within some bounds, and in none of them a promise is broken."""

from __future__ import annotations

import os

import pytest

from tests.protocol_model.explorer import explore
from tests.protocol_model.states import Bounds
from tests.protocol_model.world import Model

# States, on the way: 400, 3,900, 3,400, 5,900, 7,100, 6,700.
EVERYTHING_ELSE_WELL = [
    Bounds(sessions=1),
    Bounds(sessions=1, doubles=1, delays=1),
    Bounds(sessions=1, doubles=1, full=1),
    Bounds(sessions=2, cuts=1),
    Bounds(sessions=2, crashes=1),
    Bounds(sessions=2, restores=1),
]
# Two things at once, or two machines with one identity: minutes each, more than 1,000,000 states.
TOGETHER = [
    Bounds(sessions=2, clones=1),
    Bounds(sessions=2, cuts=1, people=1),
    Bounds(sessions=1, doubles=1, people=1),
    Bounds(sessions=3, cuts=2),
    Bounds(sessions=2, crashes=1, doubles=1, delays=1),
    Bounds(sessions=2, crashes=1, rollbacks=1),
    Bounds(sessions=2, crashes=1, cuts=1, rollbacks=1),
    Bounds(sessions=2, restores=1, cuts=1),
    Bounds(sessions=2, restores=1, crashes=1),
    Bounds(sessions=2, restores=1, people=1),
]
IS_THOROUGH = int(os.environ.get("DEPLOYX_TEST_EFFORT", "1")) > 1


def _words(bounds: Bounds) -> str:
    return "-".join(f"{value}-{name}" for name, value in bounds._asdict().items() if value)


@pytest.mark.parametrize(
    "bounds", EVERYTHING_ELSE_WELL + (TOGETHER if IS_THOROUGH else []), ids=_words
)
def test_no_order_of_events_breaks_a_promise(model: Model, bounds: Bounds) -> None:
    found = explore(model, bounds)
    assert found.violation is None, str(found.violation)
    assert {"queued", "claimed", "running", "succeeded"} <= found.rows
