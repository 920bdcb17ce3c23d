"""The wire contract `deployx.v1`, once, for both ends. `docs/protocol.md` words it for people.

Frames are frozen dataclasses; `encode` writes one, `decode_from_agent` and `decode_from_server`
read what the other end sent and raise ProtocolError for anything that is not exactly a frame.
"""

from __future__ import annotations

from .codec import (
    MAX_FRAME_BYTES,
    decode_from_agent,
    decode_from_server,
    encode,
    parse_object,
    write_object,
)
from .enrolment import (
    ENROLL_PATH,
    EnrolmentAnswer,
    EnrolmentRequest,
    decode_enrolment_answer,
    decode_enrolment_request,
    encode_enrolment,
)
from .fields import (
    MAX_DETAIL_BYTES,
    MAX_FACTS_BYTES,
    MAX_JSON_DEPTH,
    JsonObject,
    ProtocolError,
    decode_time,
    encode_time,
)
from .frames import (
    MAX_RECALLED_RUNS,
    Ack,
    AgentFrame,
    Cancel,
    Challenge,
    Evidence,
    Facts,
    Fetch,
    Frame,
    Giveback,
    Go,
    Grant,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Holding,
    JournalEntry,
    JournalState,
    Limits,
    Outcome,
    Output,
    OutputAck,
    Poll,
    Recall,
    Recalled,
    Reject,
    RejectCode,
    Result,
    ServerFrame,
    ServerKey,
    Source,
    Start,
    Stop,
    Stream,
    Update,
    Verdict,
    VerdictWord,
    Welcome,
)
from .signing import (
    enroll_bytes,
    extend_chain,
    fetch_bytes,
    fingerprint,
    hello_bytes,
    key_chain_bytes,
    key_id,
    new_private_key,
    newest_key,
    public_key_of,
    run_bytes,
    sign,
    sign_all,
    update_bytes,
    verify,
)
from .terms import (
    MAX_FILES,
    MAX_PAYLOAD_BYTES,
    MAX_TERMS_BYTES,
    Terms,
    build_terms,
    parse_terms,
)
from .versions import version_number

SUBPROTOCOL = "deployx.v1"
SOCKET_PATH = "/ws/agent"
FETCH_SIGNATURE_HEADER = "X-DeployX-Signature"
"""Of an HTTP request for a file: the device's signature over `fetch_bytes`, in base64."""

CLOSE_NEW_KEY = 1012
"""The server has a signing key this session was not told of. WebSocket's own "service restart"."""
CLOSE_NOT_THE_PROTOCOL = 4400
CLOSE_NOT_AUTHENTICATED = 4401
CLOSE_REVOKED = 4403
CLOSE_FENCED = 4409
CLOSE_TOO_FAST = 4429

HELLO_WITHIN_SECONDS = 10
START_REPEAT_SECONDS = 5
SPREAD = 0.2
"""Polls and heartbeats come at their interval ± this share of it."""
FRAMES_PER_SECOND = 50
FRAMES_BURST = 200
OUTPUT_CHUNK_BYTES = 32 * 1024
OUTPUT_CHUNK_SECONDS = 0.5
TOMBSTONE_SECONDS = 7 * 86_400
"""How long past `not_after` an agent remembers a run it has settled."""

__all__ = [
    "CLOSE_FENCED",
    "CLOSE_NEW_KEY",
    "CLOSE_NOT_AUTHENTICATED",
    "CLOSE_NOT_THE_PROTOCOL",
    "CLOSE_REVOKED",
    "CLOSE_TOO_FAST",
    "ENROLL_PATH",
    "FETCH_SIGNATURE_HEADER",
    "FRAMES_BURST",
    "FRAMES_PER_SECOND",
    "HELLO_WITHIN_SECONDS",
    "MAX_DETAIL_BYTES",
    "MAX_FACTS_BYTES",
    "MAX_FILES",
    "MAX_FRAME_BYTES",
    "MAX_JSON_DEPTH",
    "MAX_PAYLOAD_BYTES",
    "MAX_RECALLED_RUNS",
    "MAX_TERMS_BYTES",
    "OUTPUT_CHUNK_BYTES",
    "OUTPUT_CHUNK_SECONDS",
    "SOCKET_PATH",
    "SPREAD",
    "START_REPEAT_SECONDS",
    "SUBPROTOCOL",
    "TOMBSTONE_SECONDS",
    "Ack",
    "AgentFrame",
    "Cancel",
    "Challenge",
    "EnrolmentAnswer",
    "EnrolmentRequest",
    "Evidence",
    "Facts",
    "Fetch",
    "Frame",
    "Giveback",
    "Go",
    "Grant",
    "Heartbeat",
    "HeartbeatAck",
    "Hello",
    "Holding",
    "JournalEntry",
    "JournalState",
    "JsonObject",
    "Limits",
    "Outcome",
    "Output",
    "OutputAck",
    "Poll",
    "ProtocolError",
    "Recall",
    "Recalled",
    "Reject",
    "RejectCode",
    "Result",
    "ServerFrame",
    "ServerKey",
    "Source",
    "Start",
    "Stop",
    "Stream",
    "Terms",
    "Update",
    "Verdict",
    "VerdictWord",
    "Welcome",
    "build_terms",
    "decode_enrolment_answer",
    "decode_enrolment_request",
    "decode_from_agent",
    "decode_from_server",
    "decode_time",
    "encode",
    "encode_enrolment",
    "encode_time",
    "enroll_bytes",
    "extend_chain",
    "fetch_bytes",
    "fingerprint",
    "hello_bytes",
    "key_chain_bytes",
    "key_id",
    "new_private_key",
    "newest_key",
    "parse_object",
    "parse_terms",
    "public_key_of",
    "run_bytes",
    "sign",
    "sign_all",
    "update_bytes",
    "verify",
    "version_number",
    "write_object",
]
