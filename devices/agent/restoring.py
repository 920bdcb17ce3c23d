"""What the kind `file_deployment` does on the device to put back what an execution replaced there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from . import backups
from .kinds import Context, Finished, JsonObject
from .kinds.file_deployment import folder_of
from .placing import Folder, NotPlaced
from .together import Place, place_all


def restore(wanted: JsonObject, context: Context) -> Finished:
    """In the folder the execution deployed to. What is there now is kept in its turn. Raises NotPlaced,
    Stopped; then nothing has changed."""
    store = backups.store_of(context.memory, wanted["execution"])
    folder_path = folder_of(wanted["target_path"])
    entries = [
        entry
        for entry in backups.listed(store)
        if str(PurePosixPath(entry["path"]).parent) == folder_path
    ]
    if not entries:
        raise NotPlaced(f"nothing of that execution is kept on this device: {backups.FOR_HOW_LONG}")
    with Folder.opened(folder_path, create=False) as folder:
        kept = _put_back(folder, store, entries, context)
    steps = tuple({"path": one["path"], "state": _put_back_as(one)} for one in entries)
    said = f"{len(entries)} files are as they were before"
    return Finished(True, 0, said, steps, changed=True, kept=tuple(kept))


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
        elif place.found is None:
            continue
        else:
            place.leaves = True
        places.append(place)
    return place_all(folder, places, context, keeps=True, restored=store)


def _put_back_as(entry: JsonObject) -> str:
    return "put back" if entry["was_there"] else "removed, as it was not there before"
