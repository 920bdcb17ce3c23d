"""P2: wherever things stand, once nothing goes wrong any more each run comes to its end."""

from __future__ import annotations

from collections.abc import Iterator

from tests.protocol_model import machine as machines
from tests.protocol_model.frames import Frame
from tests.protocol_model.promises import broken
from tests.protocol_model.server import ENDED
from tests.protocol_model.states import TO_DEVICE, Bounds, Move, World
from tests.protocol_model.world import Model

_MOST_MOVES = 120
# What is left to the protocol itself, what a reconnection settles: one after the other.
_PHASES = ("as it is", "after a reconnection")


class Calm:
    """Remembers the states from which all was well."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._good: set[tuple[World, bool, bool]] = set()

    def problem(self, world: World, is_faultless: bool) -> tuple[str, list[str]] | None:
        """What does not come to its end from here, and how that was tried."""
        is_remembered = not (world.backup or world.snapshot or world.other)
        world = world._replace(
            frames=frozenset(), left=Bounds(sessions=60), backup=None, snapshot=None, other=None
        )
        if (world, is_faultless, is_remembered) in self._good:
            return None
        start, said = world, ["from now on nothing fails; what was under way is lost"]
        is_welcomed = world.device.is_up and world.device.is_open
        for phase in _PHASES[:1] if is_faultless and is_welcomed else _PHASES:
            if phase != _PHASES[0]:
                for move in self._reconnection(world):
                    said.append(move.what)
                    world = move.world
            for before, move in self._calm_moves(world):
                said.append(move.what)
                for what in broken(before, move, is_faultless):
                    return what, said
                world = move.world
            problem = _unfinished(world) or (_forgotten(world) if is_remembered else "")
            if not problem:
                self._good.add((start, is_faultless, is_remembered))
                return None
        return f"P2: {problem}", said

    def _calm_moves(self, world: World) -> Iterator[tuple[World, Move]]:
        """What happens, one thing at a time, until nothing new does."""
        for _number in range(_MOST_MOVES):
            move = self._next(world)
            if move is None:
                return
            yield world, move
            world = move.world

    def _next(self, world: World) -> Move | None:
        """A frame arrives; or else whatever changes anything."""
        if arriving := _arriving(world):
            frame = min(arriving, key=_order)
            without = world._replace(frames=world.frames - {frame})
            return next(self._model.arrives(without, frame), Move((frame, "is lost"), without))
        for move in _by_itself(self._model, world):
            if self._leads_on(world, move):
                return move
        return None

    def _leads_on(self, world: World, move: Move) -> bool:
        """Whether the move, or the answers to the frames it sends, change anything."""
        seen, world = move.world, world._replace(frames=frozenset())
        while arriving := _arriving(seen):
            if seen._replace(frames=frozenset()) != world:
                return True
            frame = min(arriving, key=_order)
            without = seen._replace(frames=seen.frames - {frame})
            seen = next(self._model.arrives(without, frame), Move((), without)).world
        return seen._replace(frames=frozenset()) != world

    def _reconnection(self, world: World) -> Iterator[Move]:
        device = world.device
        if device.is_up and device.is_stopping:
            yield self._model.stops(world)
        elif device.session:
            yield self._model.cut_off(world)


def _by_itself(model: Model, world: World) -> Iterator[Move]:
    """What happens while no frame is under way."""
    device = world.device
    for run, process in enumerate(device.processes):
        if process in (machines.RUNNING, machines.ENDING):
            outcome = "succeeded" if process == machines.RUNNING else "cancelled"
            yield from model.ends(world, run, outcome)
        elif process == machines.STRAY:
            yield model.stray_ends(world, run)
    yield from model.agent(world)
    yield from (m for m in model.reconcile(world) if not m.world.is_late or world.is_late)


def _arriving(world: World) -> list[Frame]:
    return [frame for frame in world.frames if frame.kind != "asking"]


def _order(frame: Frame) -> tuple[bool, str, int, str]:
    return frame.kind in TO_DEVICE, frame.kind, frame.run, str(frame)


def _unfinished(world: World) -> str:
    for run, row in enumerate(world.rows):
        if row.status not in ENDED | {"lost"}:
            return f"run {run} stays {row.status} for ever"
    return ""


def _forgotten(world: World) -> str:
    """Where the device's journal was never set back, the server has what it says."""
    if world.device_row.is_revoked:
        return ""
    for run, (row, truth) in enumerate(zip(world.rows, world.truths, strict=True)):
        # What a power cut took before it was synced has become unknown.
        if row.status == "lost" and truth.outcomes and "unknown" not in truth.outcomes:
            return f"run {run} is lost, and its device knows how it ended"
    return ""
