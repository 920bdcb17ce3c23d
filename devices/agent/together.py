"""Several files that come into place, or leave it, all or none.

Drafts are complete and on the disk, and what they replace has a second name, before the first one moves.
A note in the kind's memory says so, until all have moved; whoever finds the note of a run that is gone
undoes it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import backups, durable
from .kinds import Context, FileFacts, JsonObject
from .placing import DRAFT, FORMER, Folder, Found, NotPlaced

_NOTES = "placing"


@dataclass(slots=True)
class Place:
    """One file on its way: out of the store, or a text rendered on this device (`content`), or one
    that was kept here (`copy`); `leaves`: none, and what is there goes."""

    number: int
    name: str
    found: Found | None
    file: FileFacts | None = None
    content: bytes | None = None
    copy: Path | None = None
    leaves: bool = False
    look: tuple[int, int, int] = (0o644, 0, 0)

    @property
    def sha256(self) -> str | None:
        """As it was signed, or follows from that; None for a copy."""
        if self.content is not None:
            return hashlib.sha256(self.content).hexdigest()
        return self.file.sha256 if self.file is not None else None

    @property
    def is_same(self) -> bool:
        return self.found is not None and self.found.sha256 == self.sha256

    @property
    def is_shared(self) -> bool:
        """Whether what is there has other names, which are not to be changed with it."""
        return self.found is not None and self.found.names > 1

    @property
    def looks_right(self) -> bool:
        return self.found is not None and self.look == (
            self.found.mode,
            self.found.uid,
            self.found.gid,
        )


def place_all(
    folder: Folder,
    places: Sequence[Place],
    context: Context,
    *,
    keeps: bool,
    restored: Path | None = None,
) -> list[str]:
    """Every file or none; answers the paths whose earlier content is kept. `restored`: the store that
    copies come from. Raises NotPlaced, NotFetched, Stopped."""
    if not places:
        return []
    run = context.run_id
    note = context.memory / _NOTES / f"{run}.json"
    moves = [
        {"number": one.number, "name": one.name, "was_there": one.found is not None}
        for one in places
    ]
    note.parent.mkdir(exist_ok=True, mode=0o700)
    moving = False
    try:
        _write_note(note, folder, moves, moving=moving)
        for place in places:
            if not place.leaves:
                _stage(folder, run, place, context)
        replaced = [(one.name, one.found) for one in places]
        kept = backups.keep(folder, replaced, context, restored) if keeps else []
        for place in places:
            if place.found is not None:
                former = FORMER.format(run=run, number=place.number)
                folder.remember(place.name, place.found, former, context.check)
        context.check()
        moving = True
        _write_note(note, folder, moves, moving=moving)
        for place in places:
            _move(folder, run, place)
        folder.sync()
        # From here on it is done: whoever finds this note only clears away.
        _write_note(note, folder, moves, moving=False)
        moving = False
    except BaseException:
        _take_back(folder, run, moves, moving=moving)
        note.unlink(missing_ok=True)
        raise
    _take_back(folder, run, moves, moving=False)
    note.unlink()
    return kept


def undo(run: str, memory: Path) -> None:
    """Takes back what a run that is gone had begun to place. Raises NotPlaced, OSError."""
    note = memory / _NOTES / f"{run}.json"
    if not note.exists():
        return
    written = json.loads(note.read_text())
    with Folder.opened(written["folder"], create=False) as folder:
        _take_back(folder, run, written["places"], moving=written["moving"])
    note.unlink()


def _stage(folder: Folder, run: str, place: Place, context: Context) -> None:
    draft = DRAFT.format(run=run, number=place.number)
    folder.drop(draft)
    with _content(place, context) as source:
        found = folder.stage(draft, source, place.look, context.check)
    if place.sha256 not in (found, None):
        raise NotPlaced(f"{place.name}: what was read is not what was signed")


def _content(place: Place, context: Context) -> IO[bytes]:
    if place.content is not None:
        return io.BytesIO(place.content)
    if place.copy is not None:
        return backups.opened(place.copy, place.name)
    assert place.file is not None
    return context.fetch(place.file).open("rb")


def _move(folder: Folder, run: str, place: Place) -> None:
    try:
        if place.leaves:
            folder.drop(place.name)
        else:
            folder.move(DRAFT.format(run=run, number=place.number), place.name)
    except OSError as problem:
        raise NotPlaced(f"{folder.path}/{place.name}: {problem.strerror}") from problem


def _write_note(note: Path, folder: Folder, moves: Sequence[JsonObject], *, moving: bool) -> None:
    """Raises NotPlaced."""
    said = {"folder": folder.path, "places": list(moves), "moving": moving}
    try:
        durable.write(note, json.dumps(said).encode())
    except OSError as problem:
        raise NotPlaced(f"what is to be placed cannot be noted: {problem.strerror}") from problem


def _take_back(folder: Folder, run: str, places: Sequence[Any], *, moving: bool) -> None:
    """The state before the first move: what has a former one gets it back; what was not there and
    whose draft has moved goes. Before and after `moving`, drafts and second names are all there is to
    take away."""
    for place in places:
        number, name = place["number"], place["name"]
        draft, former = DRAFT.format(run=run, number=number), FORMER.format(run=run, number=number)
        if not moving:
            folder.drop(former)
        elif folder.has(former):
            folder.move(former, name)
        elif not place["was_there"] and not folder.has(draft):
            folder.drop(name)
        folder.drop(draft)
    folder.sync()
