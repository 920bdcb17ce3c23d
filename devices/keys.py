"""The key that signs runs: its private half is a file of worker and beat, never of web."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.db import IntegrityError, transaction

from devices.agent import protocol
from devices.models import Installation, ServerKey

log = structlog.get_logger(__name__)


class SigningKeyError(Exception):
    """There is no key this process may sign with; the text says what to do about it."""


@dataclass(frozen=True, slots=True)
class Signer:
    key_id: str
    _private_key: bytes = field(repr=False)

    def sign(self, terms: bytes) -> bytes:
        """The signature over a run's terms, 64 bytes."""
        return protocol.sign(self._private_key, protocol.run_bytes(terms))


def server_id() -> UUID:
    """This installation's own id, made at the first ask."""
    return Installation.objects.get_or_create(only=True)[0].server_id


def ensure_key() -> str:
    """The id of the key in the file; makes and registers one where there has never been any.
    For worker, beat and `manage.py`; raises SigningKeyError."""
    path = _path()
    if not path.exists():
        if (current := _current_row()) is not None:
            raise SigningKeyError(
                f"The signing key {current.key_id} is registered, but its file {path} is missing:"
                " put the file back."
            )
        _write_new(path)
    return _register(protocol.public_key_of(_read(path))).key_id


def current_signer() -> Signer:
    """Signs with the key in the file while that is the current one; raises SigningKeyError."""
    private_key = _read(_path())
    row = _register(protocol.public_key_of(private_key))
    return Signer(row.key_id, private_key)


def current_public_key() -> bytes:
    """For whoever may not see the file. Raises SigningKeyError where no key was made yet."""
    row = _current_row()
    if row is None:
        raise SigningKeyError("No signing key yet: start a worker, or `manage.py keys ensure`.")
    return bytes(row.public_key)


def chain() -> tuple[protocol.ServerKey, ...]:
    """Every public key from the first to the newest, each signed by the one before."""
    return tuple(
        protocol.ServerKey(
            row.key_id,
            bytes(row.public_key),
            None if row.signature is None else bytes(row.signature),
        )
        for row in _in_order(ServerKey.objects.all())
    )


def _in_order(rows: Iterable[ServerKey]) -> list[ServerKey]:
    successors = {row.previous_id: row for row in rows}
    ordered: list[ServerKey] = []
    link = successors.get(None)
    while link is not None:
        ordered.append(link)
        link = successors.get(link.key_id)
    return ordered


def _path() -> Path:
    return Path(settings.DEPLOYX_SIGNING_KEY_FILE)


def _current_row() -> ServerKey | None:
    return ServerKey.objects.filter(retired_at=None).first()


def _register(public_key: bytes) -> ServerKey:
    """The current row of this key, made if it is the first ever; SigningKeyError for any other."""
    key_id = protocol.key_id(public_key)
    current = _current_row()
    if current is None and not ServerKey.objects.exists():
        with suppress(IntegrityError), transaction.atomic():
            ServerKey.objects.create(key_id=key_id, public_key=public_key)
            log.info("signing_key_registered", key_id=key_id)
        current = _current_row()
    if current is None or bytes(current.public_key) != public_key:
        known = "none" if current is None else current.key_id
        raise SigningKeyError(
            f"The file {_path()} holds the key {key_id}, but the current one is {known}."
            " Agents trust only that one: put its file back."
        )
    return current


def _read(path: Path) -> bytes:
    """The raw private key; refuses a file that others may read."""
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


def _write_new(path: Path) -> None:
    """Complete or not at all; where another process was first, its file stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
