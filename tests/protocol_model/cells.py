"""The table of verdicts, one cell after the other: what else could be answered there, and what breaks.

A cell is what the server's row says and what the device's journal says, at a hello or, of a device in
recovery, at its recall. The server's answer is taken as it is but for one cell's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.protocol_model.device import Device
from tests.protocol_model.server import Answer, DeviceRow, Row, Server
from tests.protocol_model.states import Bounds, World
from tests.protocol_model.world import Model

_SETTLING = ("hello", "recalled")
_SEEDS = 60
WORDS = ("keep", "drop", "kill", "ack")


class Cell(NamedTuple):
    when: str
    row: str
    journal: str


class Change(NamedTuple):
    """Another answer in one cell: other words, or another state of the row."""

    cell: Cell
    words: tuple[str, ...] | None = None
    row: str | None = None

    def __str__(self) -> str:
        said = "/".join(self.words or ()) if self.row is None else "row " + self.row
        return f"{self.cell.when}: {self.cell.row} and {self.cell.journal}: {said}"


class Altered:
    """The server with one cell changed; without a change it only notes which cells it came by."""

    def __init__(self, server: Server, change: Change | None = None) -> None:
        self._server = server
        self._change = change
        self.answers: dict[Cell, set[tuple[tuple[str, ...], str]]] = {}
        self.came_by: set[Cell] = set()

    def step(
        self, device: DeviceRow, row: Row, word: str, *what: Any, late: bool = False
    ) -> Answer:
        answer = self._server.step(device, row, word, *what, late=late)
        if word not in _SETTLING or device.session != what[0]:
            return answer
        cell = cell_of(word, row, what[-1])
        if self._change is None:
            self.came_by.add(cell)
            moved = "stays" if answer.row == row else answer.row.status
            self.answers.setdefault(cell, set()).add((answer.said, moved))
        elif self._change.cell == cell:
            return changed(answer, row, self._change, what[0])
        return answer


def cell_of(word: str, row: Row, entry: tuple[str, str] | None) -> Cell:
    has_started = row.status == "cancelled" and row.has_started
    status = "cancelled after its start" if has_started else row.status
    return Cell(word, status, entry[0] if entry else "nothing")


def changed(answer: Answer, row: Row, change: Change, session: int) -> Answer:
    if change.row is None:
        return answer._replace(said=change.words)
    return answer._replace(row=_ROWS[change.row](row, session))


_ROWS: dict[str, Any] = {
    "stays": lambda row, session: row,
    "queued": lambda row, session: Row("queued", is_cancel_asked=row.is_cancel_asked),
    "claimed": lambda row, session: Row("claimed", session, row.is_cancel_asked),
    "running": lambda row, session: Row("running", session, row.is_cancel_asked, True),
    "lost": lambda row, session: Row("lost", 0, row.is_cancel_asked, row.has_started, True),
    "cancelled": lambda row, session: Row("cancelled", 0, row.is_cancel_asked),
    "succeeded": lambda row, session: Row("succeeded", 0, row.is_cancel_asked, True, exit_code=0),
}


def changes(answers: dict[Cell, set[tuple[tuple[str, ...], str]]]) -> Iterator[Change]:
    """Every other answer in every cell that was come by. The row's other states leave out the one
    it takes, and `stays` where it does."""
    for cell in sorted(answers):
        said = {words for words, _ in answers[cell]}
        taken = {moved for _, moved in answers[cell]}
        others = [word for word in WORDS if {(word,)} != said] if cell.journal != "nothing" else []
        yield from (Change(cell, words=(word,)) for word in others)
        same = {"stays", cell.row} if "stays" in taken else taken
        yield from (Change(cell, row=row) for row in _ROWS if row not in same | {cell.row})


def seeds(
    device: Device, server: Server, bounds: Bounds, most_states: int
) -> tuple[dict[Cell, list[World]], dict[Cell, set[tuple[tuple[str, ...], str]]]]:
    """For each cell the first states from which one move comes by it, and what is answered there.
    Up to that move a changed cell changes nothing, so that this is where to look for its harm.
    Gives up after `most_states`."""
    altered = Altered(server)
    model = Model(device, altered)
    first = model.begin(bounds)
    known, queue = {first}, deque([first])
    found: dict[Cell, list[World]] = {}
    while queue and len(known) < most_states:
        world = queue.popleft()
        altered.came_by.clear()
        for move in model.moves(world):
            if move.world not in known:
                known.add(move.world)
                queue.append(move.world)
        for cell in altered.came_by:
            if len(found.setdefault(cell, [])) < _SEEDS:
                found[cell].append(world)
    return found, altered.answers
