"""The signed terms of a run: the exact bytes stored when it was released, and their meaning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from .codec import parse_object, write_object
from .fields import (
    UUID_TEXT,
    Count,
    Field,
    Id,
    Instant,
    ProtocolError,
    Seconds,
    Sha256,
    ShortText,
    build,
    decode_time,
    encode_time,
    many,
    optional,
    table,
    text,
    unbuild,
)

MAX_TERMS_BYTES = 16 * 1024
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_FILES = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """`task` and `scheduled_for` are None for a run that has none (manual, deleted task)."""

    server_id: Id
    run: Id
    device: Id
    execution: Id
    task: Annotated[str | None, optional(UUID_TEXT)]
    attempt: Count
    scheduled_for: Annotated[datetime | None, optional(Field(decode_time, encode_time))]
    kind: ShortText
    payload_sha256: Sha256
    files: Annotated[tuple[str, ...], many(text(64), MAX_FILES)]
    run_as: Annotated[str | None, optional(text(256))]
    timeout_seconds: Seconds
    not_before: Instant
    not_after: Instant


_TABLE = table(Terms)


def build_terms(terms: Terms) -> bytes:
    """The bytes to sign and to store; nobody writes them a second time from their meaning."""
    data = write_object(unbuild(_TABLE, terms)).encode()
    if len(data) > MAX_TERMS_BYTES:
        raise ProtocolError(f"terms: over {MAX_TERMS_BYTES} bytes")
    return data


def parse_terms(data: bytes) -> Terms:
    """The meaning of signed bytes. A name this end does not know is refused: it may be a
    condition, and a condition that is overlooked is a condition broken."""
    if len(data) > MAX_TERMS_BYTES:
        raise ProtocolError(f"terms: over {MAX_TERMS_BYTES} bytes")
    terms: Terms = build(Terms, _TABLE, parse_object(data), 0)
    return terms
