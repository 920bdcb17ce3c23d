"""The two bodies of `POST /api/agent/enroll`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .codec import MAX_FRAME_BYTES, parse_object, write_object
from .fields import (
    FactsObject,
    Id,
    KeyId,
    ProtocolError,
    PublicKey,
    ShortText,
    Signature,
    build,
    table,
    text,
    unbuild,
)

ENROLL_PATH = "/api/agent/enroll"


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """`signature` is by the new key over `enroll_bytes(token, public_key)`."""

    token: Annotated[str, text(256)]
    name: Annotated[str, text(200)]
    public_key: PublicKey
    signature: Signature
    agent_version: ShortText
    facts: FactsObject


@dataclass(frozen=True, slots=True)
class EnrolmentAnswer:
    """`socket` is the ws:// or wss:// address of `/ws/agent`."""

    device_id: Id
    server_id: Id
    key_id: KeyId
    server_key: PublicKey
    socket: Annotated[str, text(2_000)]


_REQUEST = table(EnrolmentRequest)
_ANSWER = table(EnrolmentAnswer)


def encode_enrolment(body: EnrolmentRequest | EnrolmentAnswer) -> str:
    rows = _REQUEST if isinstance(body, EnrolmentRequest) else _ANSWER
    return write_object(unbuild(rows, body))


def decode_enrolment_request(data: str | bytes) -> EnrolmentRequest:
    request: EnrolmentRequest = build(EnrolmentRequest, _REQUEST, _object(data), 0)
    return request


def decode_enrolment_answer(data: str | bytes) -> EnrolmentAnswer:
    answer: EnrolmentAnswer = build(EnrolmentAnswer, _ANSWER, _object(data), 0)
    return answer


def _object(data: str | bytes) -> dict[str, object]:
    if len(data) > MAX_FRAME_BYTES:
        raise ProtocolError(f"over {MAX_FRAME_BYTES} bytes")
    return parse_object(data)
