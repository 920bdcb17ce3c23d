"""A state of everything: device, server, network, what really happened, and what may still fail."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.protocol_model.crashes import DeviceState
from tests.protocol_model.frames import Frame
from tests.protocol_model.server import DeviceRow, Row

TO_DEVICE = frozenset({"recall", "welcome", "grant", "go", "stop", "ack", "cancel"})


class Bounds(NamedTuple):
    """How often each may still happen: `crashes` of agent or power, `cuts` of the connection,
    `doubles` of a frame, `people` who cancel, revoke, stop an agent or refuse a run, `restores` of an
    older database, `full` disks, `rollbacks` of the agent's state directory, and `delays` past the
    last permitted start, and `clones` of the state directory on a second machine."""

    sessions: int = 2
    crashes: int = 0
    cuts: int = 0
    doubles: int = 0
    people: int = 0
    restores: int = 0
    full: int = 0
    rollbacks: int = 0
    delays: int = 0
    clones: int = 0


class Truth(NamedTuple):
    """What really happened to a run, whoever knows: how often it was started, and the outcomes the
    device wrote into its journal."""

    starts: int = 0
    outcomes: frozenset[str] = frozenset()


class World(NamedTuple):
    """`frames` are under way; `is_late` once `not_after` has passed; `backup` and `snapshot` are what
    a restore or a rollback would bring back; `sessions` counts those opened; `other` is a second
    machine with the same identity."""

    device: DeviceState
    device_row: DeviceRow
    rows: tuple[Row, ...]
    frames: frozenset[Frame] = frozenset()
    truths: tuple[Truth, ...] = (Truth(),)
    is_late: bool = False
    sessions: int = 0
    backup: tuple[DeviceRow, tuple[Row, ...]] | None = None
    snapshot: bytes | None = None
    left: Bounds = Bounds()
    other: DeviceState | None = None


def swapped(world: World) -> World:
    """The same, seen from the second machine."""
    assert world.other is not None
    return world._replace(device=world.other, other=world.device)


def machine_of(world: World, session: int) -> DeviceState | None:
    """The machine whose connection this is, if that still stands."""
    for machine in (world.device, world.other):
        if machine is not None and session and machine.session == session:
            return machine
    return None


def newest_session(world: World) -> int:
    """The one to which the server sends what is for the device; 0 for none."""
    return max(world.device.session, world.other.session if world.other else 0)


class Move(NamedTuple):
    """`said` are its words; `gos` are the runs the server gave a GO in it."""

    said: tuple[Any, ...]
    world: World
    gos: tuple[int, ...] = ()
    refused: str = ""

    @property
    def what(self) -> str:
        return " ".join(map(str, self.said))
