"""The key that signs runs: its private half is a file of worker and beat, never of web."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from django.db import IntegrityError, connection, transaction

from devices import key_files
from devices.agent import protocol
from devices.key_files import SigningKeyError
from devices.models import Installation, ServerKey

__all__ = [
    "Signer",
    "SigningKeyError",
    "chain",
    "current_public_key",
    "current_signer",
    "ensure_key",
    "server_id",
    "share_signing",
]

log = structlog.get_logger(__name__)
_SIGNING = 7_460_112_310
"""The advisory lock that who signs shares, and who replaces the key has alone."""


@dataclass(frozen=True, slots=True)
class Signer:
    key_id: str
    _private_key: bytes = field(repr=False)

    @property
    def public_key(self) -> bytes:
        return protocol.public_key_of(self._private_key)

    def sign(self, terms: bytes) -> bytes:
        """The signature over a run's terms, 64 bytes."""
        return protocol.sign(self._private_key, protocol.run_bytes(terms))

    def sign_all(self, terms: Iterable[bytes]) -> list[bytes]:
        """The same for many runs."""
        return protocol.sign_all(self._private_key, map(protocol.run_bytes, terms))

    def sign_update(self, terms: bytes) -> bytes:
        """The signature over an agent update's terms, 64 bytes."""
        return protocol.sign(self._private_key, protocol.update_bytes(terms))

    def hand_over_to(self, public_key: bytes) -> bytes:
        """The signature that makes this the key before the other in the chain."""
        said = protocol.key_chain_bytes(str(server_id()), self.public_key, public_key)
        return protocol.sign(self._private_key, said)


def signer_of(private_key: bytes) -> Signer:
    return Signer(protocol.key_id(protocol.public_key_of(private_key)), private_key)


def server_id() -> UUID:
    """This installation's own id, made at the first ask."""
    return Installation.objects.get_or_create(only=True)[0].server_id


def ensure_key() -> str:
    """The id of the key in the file; makes and registers one where there has never been any, and
    ends a rotation that was broken off. For worker, beat and `manage.py`; raises SigningKeyError."""
    path = key_files.place()
    if not path.exists() and not key_files.successor().exists():
        if (current := current_row()) is not None:
            raise SigningKeyError(
                f"The signing key {current.key_id} is registered, but its file {path} is missing:"
                " put the file back."
            )
        key_files.write_new(path)
    with suppress(SigningKeyError), key_files.held():
        end_rotation()
    return current_signer().key_id


def end_rotation() -> None:
    """What is left of a rotation that the database knows of. The caller holds the files."""
    path = key_files.successor()
    current = current_row()
    if current is None or not path.exists():
        return
    if protocol.public_key_of(key_files.read(path)) == bytes(current.public_key):
        key_files.succeed()


def current_signer() -> Signer:
    """Signs with the key in the file while that is the current one; raises SigningKeyError. To the
    end of the caller's transaction no other key takes its place."""
    share_signing()
    current = current_row()
    if current is not None and (private_key := _private_half(bytes(current.public_key))):
        return Signer(current.key_id, private_key)
    private_key = key_files.read(key_files.place())
    return Signer(_register(protocol.public_key_of(private_key)).key_id, private_key)


def share_signing() -> None:
    """To the end of the transaction the current key stays. For who will sign only after it has come
    to hold rows that a rotation wants as well: first this, then the rows."""
    _lock("pg_advisory_xact_lock_shared")


def lock_out_signers() -> None:
    """From here to the end of the transaction nobody signs, and nobody is in the midst of it."""
    _lock("pg_advisory_xact_lock")


def _lock(function: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [_SIGNING])


def _private_half(public_key: bytes) -> bytes | None:
    """Between a rotation's commit and the change of the files it is in the successor's; a second
    look at the first file is for a change between the two looks."""
    for path in (key_files.place(), key_files.successor(), key_files.place()):
        if not path.exists():
            continue
        with suppress(FileNotFoundError):
            private_key = key_files.read(path)
            if protocol.public_key_of(private_key) == public_key:
                return private_key
    return None


def current_public_key() -> bytes:
    """For whoever may not see the file. Raises SigningKeyError where no key was made yet."""
    row = current_row()
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


def current_row() -> ServerKey | None:
    return ServerKey.objects.filter(retired_at=None).first()


def _register(public_key: bytes) -> ServerKey:
    """The current row of this key, made if it is the first ever; SigningKeyError for any other."""
    key_id = protocol.key_id(public_key)
    current = current_row()
    if current is None and not ServerKey.objects.exists():
        with suppress(IntegrityError), transaction.atomic():
            ServerKey.objects.create(key_id=key_id, public_key=public_key)
            log.info("signing_key_registered", key_id=key_id)
        current = current_row()
    if current is None or bytes(current.public_key) != public_key:
        known = "none" if current is None else current.key_id
        raise SigningKeyError(
            f"The file {key_files.place()} holds the key {key_id}, but the current one is {known}."
            " Agents trust only that one: put its file back."
        )
    return current
