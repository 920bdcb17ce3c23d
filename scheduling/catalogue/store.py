"""The bytes of files, each once and under its digest: `blobs/ab/abcd…`. A name that a person gave
never becomes a path.

New bytes are written aside, in `drafts/`, and come into place whole: on this machine by fsync and
rename, in a bucket by an upload of its own. Who runs several web nodes gives them one folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages
from django.utils.translation import gettext as _

from accounts.errors import Unavailable

PIECE_BYTES = 1024 * 1024


def draft(name: str) -> Path:
    """Where a draft of this name is; `name` is ours, never a person's."""
    folder: Path = settings.DEPLOYX_FILES_DIR / "drafts"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / name


def digest(path: Path) -> tuple[str, int]:
    """(SHA-256 in hexadecimal, size) of a file."""
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            sha256.update(piece)
            size += len(piece)
    return sha256.hexdigest(), size


def append(path: Path, offset: int, pieces: Iterator[bytes]) -> int:
    """Writes at `offset` of a draft and answers how long it is then, once that is on the disk. What
    stood beyond `offset`, of a piece that was cut off, is gone. Raises Unavailable."""
    with _disk():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as target:
        target.truncate(offset)
        target.seek(offset)
        try:
            return _pour(target, offset, pieces)
        except Unavailable:
            target.truncate(offset)  # what filled the disk does not stay on it
            raise


def bring(path: Path, sha256: str) -> None:
    """Uploads a draft to the bucket, which may take minutes: before `keep`, and in no transaction.
    On this machine there is nothing to be done before. Raises Unavailable."""
    if local_path(sha256) is None and not is_kept(sha256):
        with path.open("rb") as source:
            storages["blobs"].save(_name(sha256), File(source))


def keep(path: Path, sha256: str) -> None:
    """Brings a draft into place; bytes that are there already are left as they are. The caller
    holds the blob's row. Raises Unavailable."""
    place = local_path(sha256)
    if place is None:
        bring(path, sha256)  # collected since; else it is there
    elif not place.exists():
        with _disk():
            _rename(path, place)
    path.unlink(missing_ok=True)


def is_kept(sha256: str) -> bool:
    return storages["blobs"].exists(_name(sha256))


def discard(sha256: str) -> None:
    """The caller has deleted the blob's row, in the transaction that is still open."""
    storages["blobs"].delete(_name(sha256))


def local_path(sha256: str) -> Path | None:
    """Where the bytes are on this machine; None where they are in a bucket."""
    store = storages["blobs"]
    return Path(store.path(_name(sha256))) if isinstance(store, FileSystemStorage) else None


def accel_path(sha256: str) -> str:
    """The same place as nginx is told it, below its internal location."""
    return _name(sha256)


def remote_url(sha256: str, seconds: int, parameters: Mapping[str, str] | None = None) -> str:
    """A signed address in the bucket, good for that long; `parameters` are those of S3's GetObject.
    Raises Unavailable."""
    sign: Any = storages["blobs"].url
    return str(sign(_name(sha256), dict(parameters or {}), expire=seconds))


@contextmanager
def opened(sha256: str) -> Iterator[IO[bytes]]:
    """The bytes, to be read. Raises FileNotFoundError."""
    with storages["blobs"].open(_name(sha256), "rb") as source:
        yield source


def free_bytes() -> int:
    """Room on the disk that takes the drafts."""
    return shutil.disk_usage(draft("")).free


def _name(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def _make(folder: Path, mode: int) -> None:
    """The folder and the one above it; ours, so that the mode holds whatever the umask is."""
    for one in (folder.parent, folder):
        one.mkdir(parents=True, exist_ok=True)
        one.chmod(mode)


@contextmanager
def _disk() -> Iterator[None]:
    """Raises Unavailable for what the disk refuses."""
    try:
        yield
    except OSError as problem:
        said = os.strerror(problem.errno or 0)
        raise Unavailable(_("The server cannot store the file: %s.") % said) from problem


def _pour(target: IO[bytes], offset: int, pieces: Iterator[bytes]) -> int:
    for piece in pieces:
        if free_bytes() - len(piece) < settings.DEPLOYX_FILES_FREE_BYTES:
            raise Unavailable(_("The server's disk has no room for it."))
        with _disk():
            offset += _write_all(target, piece)
    with _disk():
        os.fsync(target.fileno())
    return offset


def _write_all(target: IO[bytes], piece: bytes) -> int:
    view = memoryview(piece)
    while view:
        view = view[target.write(view) :]
    return len(piece)


def _rename(draft: Path, place: Path) -> None:
    """After this returns the file is there even if the power fails."""
    # nginx reads as somebody else; without knowing a digest, nobody finds the file that has it.
    is_shared = bool(settings.DEPLOYX_ACCEL_LOCATION)
    _make(place.parent, 0o711 if is_shared else 0o700)
    with draft.open("rb") as source:
        os.fchmod(source.fileno(), 0o644 if is_shared else 0o600)
        os.fsync(source.fileno())
    draft.replace(place)
    for folder in (place.parent, place.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
