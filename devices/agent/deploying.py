"""What the kind `file_deployment` does on the device: compare, render, show, place."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from .facts import gather
from .kinds import Context, FileFacts, Finished, JsonObject
from .kinds.file_deployment import folder_of
from .placing import Folder, Found, Look, NoFolder, NotPlaced, owner_ids
from .restoring import restore
from .templating import MOST_BYTES, BadTemplate, render
from .together import Place, place_all, undo

__all__ = ["BadTemplate", "NotPlaced", "deploy", "restore", "undo"]

MOST_DIFF_BYTES = 256 * 1024


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
            kept = place_all(folder, [*changing, *parted], context, keeps=order["backup"])
    return _finished(folder_path, places, changing, kept)


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
