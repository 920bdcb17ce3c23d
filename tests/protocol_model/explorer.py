"""Looks at every order of events within some bounds, the shortest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.protocol_model.calm import Calm
from tests.protocol_model.promises import broken
from tests.protocol_model.states import Bounds, Move, World
from tests.protocol_model.world import Model


@dataclass
class Violation:
    what: str
    trace: list[str]

    @property
    def promise(self) -> str:
        return self.what.partition(":")[0]

    def __str__(self) -> str:
        steps = "\n".join(f"{number:3}. {what}" for number, what in enumerate(self.trace, 1))
        return f"{self.what}\n{steps}"


@dataclass
class Findings:
    states: int = 0
    moves: int = 0
    violation: Violation | None = None
    rows: set[str] = field(default_factory=set)


def explore(
    model: Model,
    bounds: Bounds,
    *,
    only: str = "",
    most_states: int = 10_000_000,
    begin: Sequence[World] = (),
) -> Findings:
    """Every state within the bounds and every move between them, or the first that breaks a promise
    (or `only` the one that is named) with the way to it, from `begin` on. Gives up after
    `most_states`."""
    first = begin or [model.begin(bounds)]
    came_from: dict[World, tuple[World, Move] | None] = dict.fromkeys(first)
    queue = deque(first)
    findings = Findings()
    calm = Calm(model)
    while queue:
        world = queue.popleft()
        findings.states += 1
        findings.rows.update(row.status for row in world.rows)
        is_faultless = _is_faultless(world, bounds)
        problem = calm.problem(world, is_faultless)
        if problem and problem[0].startswith(only):
            findings.violation = Violation(problem[0], [*_way(came_from, world), *problem[1]])
            return findings
        for move in model.moves(world):
            findings.moves += 1
            for what in broken(world, move, _is_faultless(move.world, bounds)):
                if not what.startswith(only):
                    continue
                trace = [*_way(came_from, world), move.what]
                findings.violation = Violation(what, trace)
                return findings
            if move.world not in came_from:
                came_from[move.world] = (world, move)
                queue.append(move.world)
        if findings.states >= most_states:
            break
    return findings


def _way(came_from: dict[World, tuple[World, Move] | None], world: World) -> list[str]:
    way: list[str] = []
    while (step := came_from[world]) is not None:
        world, move = step
        way.append(move.what)
    return way[::-1]


def _is_faultless(world: World, bounds: Bounds) -> bool:
    """Frames apart, nothing has gone wrong and nobody has meddled."""
    left = bounds._replace(doubles=world.left.doubles, full=world.left.full)
    return world.left == left and world.sessions <= 1 and not world.is_late
