"""What the kind `file_deployment` does on the device: compare, stage, keep, place, put back.

Several files appear all or none: drafts are complete and on the disk, and what they replace has a second
name, before the first one moves. A note in the kind's memory says so, until all have moved; whoever finds
the note of a run that is gone undoes it.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from . import backups, durable
from .facts import gather
from .kinds import Context, FileFacts, Finished, JsonObject
from .kinds.file_deployment import folder_of
from .placing import DRAFT, FORMER, Folder, Found, Look, NoFolder, NotPlaced, owner_ids
from .templating import MOST_BYTES, BadTemplate, render

__all__ = ["BadTemplate", "NotPlaced", "deploy", "restore", "undo"]

MOST_DIFF_BYTES = 256 * 1024
_NOTES = "placing"


@dataclass(slots=True)
class Place:
    """One file on its way: out of the store, or a text rendered on this device (`content`), or one
    that was kept here (`copy`)."""

    number: int
    name: str
    found: Found | None
    file: FileFacts | None = None
    content: bytes | None = None
    copy: Path | None = None
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


def deploy(order: JsonObject, files: Sequence[FileFacts], context: Context) -> Finished:
    """Raises NotPlaced, NotFetched, BadTemplate, Stopped; then nothing has changed."""
    folder_path, names = _where(order["target_path"], files)
    mode = int(order["mode"], 8) if "mode" in order else None
    look = Look(mode, *owner_ids(order.get("owner")))
    is_trial = order["dry_run"]
    with _folder(
        folder_path, context, create=order["create_path_if_not_exists"], is_trial=is_trial
    ) as folder:
        places = [
            Place(number, name, folder.find(name, context.check) if folder else None, file)
            for number, (name, file) in enumerate(zip(names, files, strict=True))
        ]
        for place in places:
            place.look = look.of(place.found)
            if order["template"]:
                place.content = _rendered(order, place, context)
        changing = [place for place in places if not place.is_same]
        _forbid_overwriting(order, folder_path, changing)
        if is_trial:
            return _show(folder, folder_path, changing, places, context)
        assert folder is not None
        wrong = [place for place in places if place.is_same and not place.looks_right]
        with _adjusted(folder, [place for place in wrong if not place.is_shared]):
            parted = [place for place in wrong if place.is_shared]
            kept = _place_all(folder, [*changing, *parted], context, keeps=order["backup"])
    return _finished(folder_path, places, changing, kept)


def restore(wanted: JsonObject, context: Context) -> Finished:
    """Puts back what an execution replaced on this device, in the folder it deployed to. What is
    there now is kept in its turn. Raises NotPlaced, Stopped."""
    store = backups.store_of(context.memory, wanted["execution"])
    folder_path = folder_of(wanted["target_path"])
    entries = [
        entry
        for entry in backups.listed(store)
        if str(PurePosixPath(entry["path"]).parent) == folder_path
    ]
    if not entries:
        raise NotPlaced("nothing of that execution is kept on this device")
    with Folder.opened(folder_path, create=False) as folder:
        kept = _put_back(folder, store, entries, context)
    steps = tuple({"path": one["path"], "state": _put_back_as(one)} for one in entries)
    said = f"{len(entries)} files are as they were before"
    return Finished(True, 0, said, steps, changed=True, kept=tuple(kept))


def undo(run: str, memory: Path) -> None:
    """Takes back what a run that is gone had begun to place. Raises NotPlaced, OSError."""
    note = memory / _NOTES / f"{run}.json"
    if not note.exists():
        return
    written = json.loads(note.read_text())
    with Folder.opened(written["folder"], create=False) as folder:
        _take_back(folder, run, written["places"], moving=written["moving"])
    note.unlink()


# Comparing.


def _where(target: str, files: Sequence[FileFacts]) -> tuple[str, list[str]]:
    if not target.endswith("/"):
        return folder_of(target), [PurePosixPath(target).name]
    names = [file.name for file in files]
    if len(set(names)) != len(names):
        raise NotPlaced("two of the files have the same name")
    return folder_of(target), names


@contextlib.contextmanager
def _folder(
    path: str, context: Context, *, create: bool, is_trial: bool
) -> Iterator[Folder | None]:
    """The folder; None in a trial run where it would be made."""
    with contextlib.ExitStack() as stack:
        folder = None
        try:
            folder = stack.enter_context(Folder.opened(path, create=create and not is_trial))
        except NoFolder:
            if not (is_trial and create):
                raise
        yield folder


def _rendered(order: JsonObject, place: Place, context: Context) -> bytes:
    assert place.file is not None
    path = context.fetch(place.file)
    if path.stat().st_size > MOST_BYTES:
        raise BadTemplate(f"{place.file.name}: a template has at most {MOST_BYTES} bytes")
    try:
        text = path.read_bytes().decode()
        return render(text, order["variables"], gather()).encode()
    except UnicodeDecodeError:
        raise BadTemplate(f"{place.file.name}: a template is text in UTF-8") from None
    except BadTemplate as problem:
        raise BadTemplate(f"{place.file.name}: {problem}") from None


def _forbid_overwriting(order: JsonObject, folder: str, changing: Sequence[Place]) -> None:
    there = [place.name for place in changing if place.found is not None]
    if there and not order["overwrite"]:
        raise NotPlaced(f"{folder}/{there[0]} is there already, with another content")


def _show(
    folder: Folder | None,
    path: str,
    changing: Sequence[Place],
    places: Sequence[Place],
    context: Context,
) -> Finished:
    """A trial run: the differences go into the output."""
    left = MOST_DIFF_BYTES
    for place in changing:
        said = _difference(folder, path, place, context).encode()
        context.write("stdout", said[:left])
        left -= len(said[:left])
        if left <= 0:
            context.write("stdout", b"\n[more differences than are shown]\n")
            break
    steps = tuple(
        {"path": f"{path}/{one.name}", "state": _state(one, trial=True)} for one in places
    )
    return Finished(True, 0, f"{len(changing)} of {len(places)} files would change", steps, False)


def _difference(folder: Folder | None, path: str, place: Place, context: Context) -> str:
    name = f"{path}/{place.name}"
    old = b""
    if folder is not None and place.found is not None:
        with folder.reading(place.name) as source:
            old = source.read(MOST_DIFF_BYTES + 1) if source else b""
    new = place.content
    if new is None:
        assert place.file is not None
        with context.fetch(place.file).open("rb") as brought:
            new = brought.read(MOST_DIFF_BYTES + 1)
    try:
        if max(len(old), len(new)) > MOST_DIFF_BYTES:
            raise UnicodeError
        before, after = old.decode().splitlines(True), new.decode().splitlines(True)
    except UnicodeError:
        was = place.found.sha256[:12] if place.found else "nothing"
        return f"{name}: no text, or large: {was} becomes {(place.sha256 or '')[:12]}\n"
    return "".join(_with_ends(difflib.unified_diff(before, after, name, name)))


def _with_ends(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


# Placing.


def _place_all(
    folder: Folder, places: Sequence[Place], context: Context, *, keeps: bool
) -> list[str]:
    """Every file or none; answers the paths whose earlier content is kept."""
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
    _write_note(note, folder, moves, moving=moving)
    try:
        for place in places:
            _stage(folder, run, place, context)
        kept = (
            backups.keep(folder, [(one.name, one.found) for one in places], context)
            if keeps
            else []
        )
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
        return place.copy.open("rb")
    assert place.file is not None
    return context.fetch(place.file).open("rb")


def _move(folder: Folder, run: str, place: Place) -> None:
    try:
        folder.move(DRAFT.format(run=run, number=place.number), place.name)
    except OSError as problem:
        raise NotPlaced(f"{folder.path}/{place.name}: {problem.strerror}") from problem


def _write_note(note: Path, folder: Folder, moves: Sequence[JsonObject], *, moving: bool) -> None:
    said = {"folder": folder.path, "places": list(moves), "moving": moving}
    durable.write(note, json.dumps(said).encode())


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


@contextlib.contextmanager
def _adjusted(folder: Folder, places: Sequence[Place]) -> Iterator[None]:
    """Mode and owner of what is in place already; as they were, where what is done inside raises."""
    done: list[tuple[str, Found, tuple[int, int, int]]] = []
    try:
        for place in places:
            if (found := place.found) is not None:
                adjusted = folder.adjust(place.name, found, place.look)
                done.append((place.name, adjusted, (found.mode, found.uid, found.gid)))
        yield
    except BaseException:
        for name, adjusted, look in done:
            with contextlib.suppress(NotPlaced):
                folder.adjust(name, adjusted, look)
        raise


def _finished(
    path: str, places: Sequence[Place], changing: Sequence[Place], kept: Sequence[str]
) -> Finished:
    steps = tuple({"path": f"{path}/{one.name}", "state": _state(one)} for one in places)
    is_changed = bool(changing) or not all(one.looks_right for one in places)
    if not is_changed:
        said = (
            "already in place" if len(places) == 1 else f"all {len(places)} files already in place"
        )
    else:
        said = f"{len(changing)} of {len(places)} files placed in {path}"
    return Finished(True, 0, said, steps, changed=is_changed, kept=tuple(kept))


def _state(place: Place, *, trial: bool = False) -> str:
    if place.is_same:
        return "already in place" if place.looks_right else "mode or owner changed"
    if trial:
        return "would be replaced" if place.found else "would be new"
    return "replaced" if place.found else "new"


def _put_back(
    folder: Folder, store: Path, entries: Sequence[JsonObject], context: Context
) -> list[str]:
    places = []
    for entry in entries:
        name = PurePosixPath(entry["path"]).name
        place = Place(entry["number"], name, folder.find(name, context.check))
        if entry["was_there"]:
            place.copy = store / str(entry["number"])
            place.look = (entry["mode"], entry["uid"], entry["gid"])
        places.append(place)
    kept = backups.keep(folder, [(one.name, one.found) for one in places], context)
    _place_all(folder, [one for one in places if one.copy is not None], context, keeps=False)
    for place in places:
        if place.copy is None:
            folder.drop(place.name)
    folder.sync()
    return kept


def _put_back_as(entry: JsonObject) -> str:
    return "put back" if entry["was_there"] else "removed, as it was not there before"
