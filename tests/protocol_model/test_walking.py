"""Walks at random, with rows that live on from verb to verb beside those the model remembers: what
the model knows of the server is what the server does."""

from __future__ import annotations

import os
from collections.abc import Iterator

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocol_model import server as servers
from tests.protocol_model.promises import broken
from tests.protocol_model.server import Server
from tests.protocol_model.states import Bounds, Move, World
from tests.protocol_model.world import Model

EVERYTHING = Bounds(
    sessions=6, crashes=2, cuts=3, doubles=3, people=2, restores=1, full=1, rollbacks=1, delays=1
)
EFFORT = int(os.environ.get("DEPLOYX_TEST_EFFORT", "1"))
Calls = list[tuple[str, tuple[object, ...]]]


@settings(
    max_examples=10 * min(EFFORT, 10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(choices=st.lists(st.integers(0, 9_999), min_size=10, max_size=60))
def test_rows_that_live_on_are_as_the_model_says(
    model: Model, server: Server, choices: list[int]
) -> None:
    with transaction.atomic():
        world = model.begin(EVERYTHING)
        with servers.untriggered():
            servers.write(world.device_row, world.rows[0], late=False)
        for choice in choices:
            options = list(_with_calls(model, server, world))
            if not options:
                break
            move, calls = options[choice % len(options)]
            assert list(broken(world, move, is_faultless=False)) == [], move.what
            _live(server, world, move, calls)
            world = move.world
            assert servers.read() == (world.device_row, world.rows[0]), move.what
        transaction.set_rollback(True)


def _with_calls(model: Model, server: Server, world: World) -> Iterator[tuple[Move, Calls]]:
    server.asked_for.clear()
    for move in model.moves(world):
        yield move, list(server.asked_for)
        server.asked_for.clear()


def _live(server: Server, world: World, move: Move, calls: Calls) -> None:
    """Does to the rows that live on what the move did to the remembered ones."""
    if move.world.is_late and not world.is_late:
        servers.pass_last_start()
    if move.world.left.restores < world.left.restores and world.backup is not None:
        device_row, (row,) = world.backup
        with servers.untriggered():
            servers.write(device_row, row, world.is_late)
    for word, what in calls:
        server.call(word, *what)
