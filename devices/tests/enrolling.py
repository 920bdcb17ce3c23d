"""What a machine sends to become a device."""

from __future__ import annotations

from typing import Any

from devices.agent import protocol

FACTS = {"hostname": "web-1.example.org", "os": "linux", "architecture": "amd64"}


def body(token: str, private_key: bytes | None = None, **changes: Any) -> bytes:
    """A genuine enrolment request of a new key, with `changes` to its fields."""
    key = private_key or protocol.new_private_key()
    public_key = protocol.public_key_of(key)
    fields = {
        "token": token,
        "name": "web-1",
        "public_key": public_key,
        "signature": protocol.sign(key, protocol.enroll_bytes(token, public_key)),
        "agent_version": "1.0.0",
        "facts": FACTS,
    }
    return protocol.encode_enrolment(protocol.EnrolmentRequest(**{**fields, **changes})).encode()
