"""What is signed, byte for byte, and the Ed25519 keys that sign it (raw, 32 bytes)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .frames import ServerKey

_HELLO = b"deployx.hello.v1\0"
_ENROLL = b"deployx.enroll.v1\0"
_RUN = b"deployx.run.v1\0"
_UPDATE = b"deployx.update.v1\0"
_KEY = b"deployx.key.v1\0"
_FETCH = b"deployx.fetch.v1\0"


def hello_bytes(nonce: bytes, server_id: str, device_id: str) -> bytes:
    return _HELLO + nonce + server_id.encode() + device_id.encode()


def enroll_bytes(token: str, public_key: bytes) -> bytes:
    return _ENROLL + token.encode() + public_key


def run_bytes(terms: bytes) -> bytes:
    return _RUN + terms


def update_bytes(terms: bytes) -> bytes:
    return _UPDATE + terms


def fetch_bytes(path: str) -> bytes:
    """What a device signs to fetch from its server: the path of the address it was given."""
    return _FETCH + path.encode()


def key_chain_bytes(server_id: str, previous_key: bytes, public_key: bytes) -> bytes:
    """What `previous_key` signs to hand over to `public_key`."""
    return _KEY + server_id.encode() + previous_key + public_key


def fingerprint(public_key: bytes) -> str:
    """The SHA-256 of a raw public key in hex: what people compare and `enroll` is given."""
    return hashlib.sha256(public_key).hexdigest()


def key_id(public_key: bytes) -> str:
    """The first 16 hex digits of the fingerprint: what frames name a key by."""
    return fingerprint(public_key)[:16]


def new_private_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key_of(private_key: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def sign(private_key: bytes, message: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private_key).sign(message)


def sign_all(private_key: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """The signature over each; the key is made ready once, which takes as long as to sign."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    return [key.sign(message) for message in messages]


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the signature is this key's over this message; False for malformed ones too."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def extend_chain(
    chain: Sequence[ServerKey], server_id: str, private_key: bytes, public_key: bytes
) -> tuple[ServerKey, ...]:
    """The chain with `public_key` at its end, signed by `private_key`, the key before it."""
    previous = chain[-1].public_key
    if public_key_of(private_key) != previous:
        raise ValueError("not the private key of the chain's last link")
    signature = sign(private_key, key_chain_bytes(server_id, previous, public_key))
    return (*chain, ServerKey(key_id(public_key), public_key, signature))


def newest_key(chain: Sequence[ServerKey], server_id: str, pinned: bytes) -> bytes | None:
    """The key the chain ends in, if it leads there from the pinned one; else None."""
    keys = [link.public_key for link in chain]
    if pinned not in keys:
        return None
    current = pinned
    for link in chain[keys.index(pinned) + 1 :]:
        message = key_chain_bytes(server_id, current, link.public_key)
        if link.signature is None or not verify(current, link.signature, message):
            return None
        current = link.public_key
    return current
