"""What a deployment replaced, kept so that it can be put back: a folder for each execution, with a list
and the contents. POSIX only."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from . import durable
from .kinds import Context, JsonObject
from .placing import Folder, Found, NotPlaced

KEPT_EXECUTIONS = 50
FOR_HOW_LONG = f"it keeps what the last {KEPT_EXECUTIONS} executions replaced"
_LIST = "list.json"
_PIECE_BYTES = 1024 * 1024


def keep(
    folder: Folder,
    replaced: Iterable[tuple[str, Found | None]],
    context: Context,
    restored: Path | None = None,
) -> list[str]:
    """Copies what will be replaced in this folder, on the disk when this returns; answers every path
    the execution has something kept of. What an earlier attempt kept, which is of the time before the
    execution, stays, and so does `restored`, the store that is being put back. Raises NotPlaced,
    Stopped."""
    store = store_of(context.memory, context.execution)
    is_new = not store.exists()
    try:
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        entries = _add(folder, replaced, store, context)
    except BaseException as problem:
        if is_new:
            shutil.rmtree(store, ignore_errors=True)
        if isinstance(problem, OSError):
            raise NotPlaced(f"what is replaced cannot be kept: {problem.strerror}") from problem
        raise
    _forget_old(store.parent, restored)
    return [entry["path"] for entry in entries]


def store_of(memory: Path, execution: str) -> Path:
    return memory / "backups" / execution


def listed(store: Path) -> list[JsonObject]:
    """What is kept there: objects of `path`, `number` (the name of its copy), `was_there` and, where
    it was, `mode`, `uid`, `gid`."""
    try:
        entries: list[JsonObject] = json.loads((store / _LIST).read_bytes())
    except (OSError, ValueError):
        return []
    return entries


def opened(copy: Path, name: str) -> IO[bytes]:
    """Raises NotPlaced."""
    try:
        return copy.open("rb")
    except FileNotFoundError:
        said = f"the earlier version of {name} is no longer kept on this device: {FOR_HOW_LONG}"
        raise NotPlaced(said) from None
    except OSError as problem:
        said = f"the earlier version of {name} cannot be read: {problem.strerror}"
        raise NotPlaced(said) from problem


def _add(
    folder: Folder, replaced: Iterable[tuple[str, Found | None]], store: Path, context: Context
) -> list[JsonObject]:
    """Raises NotPlaced, Stopped, OSError."""
    entries = listed(store)
    known = {entry["path"] for entry in entries}
    new = [(name, found) for name, found in replaced if f"{folder.path}/{name}" not in known]
    _require_room(store, sum(found.size for _name, found in new if found), context)
    for name, found in new:
        entries.append(_entry(folder, name, found, store, len(entries), context))
    durable.sync_folder(store)
    durable.write(store / _LIST, json.dumps(entries).encode())
    return entries


def _entry(
    folder: Folder, name: str, found: Found | None, store: Path, number: int, context: Context
) -> JsonObject:
    entry: JsonObject = {"path": f"{folder.path}/{name}", "number": number}
    if found is None:
        return entry | {"was_there": False}
    _copy(folder, name, store / str(number), context)
    return entry | {"was_there": True, "mode": found.mode, "uid": found.uid, "gid": found.gid}


def _require_room(store: Path, needed: int, context: Context) -> None:
    free = shutil.disk_usage(store).free
    if free - needed < context.min_free_bytes:
        raise NotPlaced(
            f"the device's disk has no room to keep what is replaced ({needed} bytes):"
            f" {free} bytes are free"
        )


def _copy(folder: Folder, name: str, copy: Path, context: Context) -> None:
    try:
        with folder.reading(name) as source, copy.open("wb") as target:
            while source is not None and (piece := source.read(_PIECE_BYTES)):
                context.check()
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
    except OSError as problem:
        said = f"no room to keep the old version of {name}: {problem.strerror}"
        raise NotPlaced(said) from problem


def _forget_old(backups: Path, spared: Path | None) -> None:
    stores = sorted(backups.iterdir(), key=_written_at, reverse=True)
    for store in stores[KEPT_EXECUTIONS:]:
        if store != spared:
            shutil.rmtree(store, ignore_errors=True)


def _written_at(store: Path) -> float:
    try:
        return store.stat().st_mtime
    except FileNotFoundError:  # another run of this device's has just forgotten it
        return 0.0
