"""The signing key as a file, and its successor beside it while one takes the other's place."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings


class SigningKeyError(Exception):
    """There is no key this process may sign with; the text says what to do about it."""


def place() -> Path:
    return Path(settings.DEPLOYX_SIGNING_KEY_FILE)


def successor() -> Path:
    """Where a rotation keeps the new key until the database has it and the old file may go."""
    return place().with_name(f"{place().name}.next")


def read(path: Path) -> bytes:
    """The raw private key; refuses a file that others may read. Raises SigningKeyError."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SigningKeyError(f"{path} is open to others: chmod 600 it.")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SigningKeyError(f"Cannot read the signing key: {error}") from error
    except (ValueError, TypeError) as error:
        raise SigningKeyError(f"{path} is not a private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path} is not an Ed25519 key.")
    return key.private_bytes_raw()


def write_new(path: Path) -> None:
    """A key nobody had before, complete or not at all; where a file is there already, it stays.
    The owner is that of the key it follows: a person at a shell may be another than the worker."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                _give_to_owner_of(place(), file.fileno())
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def succeed() -> None:
    """The successor's file takes the place of the key's, whose private half is then gone."""
    successor().replace(place())
    _sync_folder(place().parent)


@contextmanager
def held() -> Iterator[None]:
    """One at a time may change the files. Raises SigningKeyError where another does."""
    path = place().with_name(f"{place().name}.lock")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SigningKeyError("Another rotation of the key is under way.") from None
        yield
    finally:
        os.close(descriptor)


def _give_to_owner_of(path: Path, descriptor: int) -> None:
    owner, mine = path.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
