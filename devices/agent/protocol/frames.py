"""Every frame of `deployx.v1`, as a dataclass; `docs/protocol.md` says what each one means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from .fields import (
    SHORT_TEXT,
    UUID_TEXT,
    Binary,
    Count,
    DetailObject,
    ExitCode,
    FactsObject,
    Flag,
    Id,
    Instant,
    KeyId,
    LongText,
    Nonce,
    Number,
    PublicKey,
    Seconds,
    Sha256,
    ShortText,
    Signature,
    many,
    nested,
    one_of,
    optional,
    sized_bytes,
    text,
)

MAX_RECALLED_RUNS = 1_000
MAX_ENTRIES = 2_000
MAX_KEYS = 1_000


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class JournalState(StrEnum):
    CLAIMED = "claimed"
    GO = "go"
    ENDED = "ended"
    UNKNOWN = "unknown"


class VerdictWord(StrEnum):
    KEEP = "keep"
    DROP = "drop"
    KILL = "kill"
    ACK = "ack"


class RejectCode(StrEnum):
    BAD_SIGNATURE = "bad_signature"
    DIGEST_MISMATCH = "digest_mismatch"
    POLICY = "policy"
    DISK_FULL = "disk_full"
    TOO_LATE = "too_late"
    UNKNOWN_KIND = "unknown_kind"


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a device's journal knows of a run that has ended."""

    outcome: Annotated[Outcome, one_of(Outcome)]
    exit_code: ExitCode
    detail: DetailObject
    output_length: Count
    output_sha256: Sha256


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """`result` stands with the states ended and unknown, and with no other."""

    run: Id
    state: Annotated[JournalState, one_of(JournalState)]
    result: Annotated[Evidence | None, optional(nested(Evidence))] = None


@dataclass(frozen=True, slots=True)
class Holding:
    run: Id
    state: Annotated[JournalState, one_of(JournalState)]


@dataclass(frozen=True, slots=True)
class Verdict:
    run: Id
    verdict: Annotated[VerdictWord, one_of(VerdictWord)]


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A link of the key chain; `signature` is the previous key's, None at the first link."""

    key_id: KeyId
    public_key: PublicKey
    signature: Annotated[bytes | None, optional(sized_bytes(64))] = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What this server wants of this agent; names an agent does not know are overlooked."""

    heartbeat_seconds: Number = 20.0
    poll_seconds: Number = 60.0
    max_runs: Count = 4
    output_window_bytes: Count = 256 * 1024
    output_bytes_per_second: Count = 1024 * 1024
    spool_bytes: Count = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    nonce: Nonce
    server_id: Id
    server_time: Instant
    protocols: Annotated[tuple[str, ...], many(SHORT_TEXT, 16)]


@dataclass(frozen=True, slots=True)
class Hello:
    device_id: Id
    protocol: ShortText
    agent_version: ShortText
    facts: FactsObject
    signature: Signature
    journal: Annotated[tuple[JournalEntry, ...], many(nested(JournalEntry), MAX_ENTRIES)]


@dataclass(frozen=True, slots=True)
class Welcome:
    session: Id
    limits: Annotated[Limits, nested(Limits, tolerant=True)]
    server_time: Instant
    server_keys: Annotated[tuple[ServerKey, ...], many(nested(ServerKey), MAX_KEYS)]
    verdicts: Annotated[tuple[Verdict, ...], many(nested(Verdict), MAX_ENTRIES)]


@dataclass(frozen=True, slots=True)
class Grant:
    run: Id
    key_id: KeyId
    terms: Binary
    signature: Signature
    payload: Binary


@dataclass(frozen=True, slots=True)
class Start:
    run: Id


@dataclass(frozen=True, slots=True)
class Go:
    run: Id
    timeout_seconds: Seconds


@dataclass(frozen=True, slots=True)
class Stop:
    """`reason`: cancelled, expired, revoked or unknown."""

    run: Id
    reason: ShortText


@dataclass(frozen=True, slots=True)
class Reject:
    run: Id
    code: Annotated[RejectCode, one_of(RejectCode)]
    detail: LongText


@dataclass(frozen=True, slots=True)
class Giveback:
    run: Id
    session: Id


@dataclass(frozen=True, slots=True)
class Ack:
    """`state` is the run's state at the server now, or unknown."""

    run: Id
    state: ShortText


@dataclass(frozen=True, slots=True)
class Output:
    """`skipped` bytes before `offset` were dropped by the agent and will never come."""

    run: Id
    offset: Count
    stream: Annotated[Stream, one_of(Stream)]
    data: Binary
    skipped: Count = 0


@dataclass(frozen=True, slots=True)
class OutputAck:
    run: Id
    next: Count


@dataclass(frozen=True, slots=True)
class Result:
    run: Id
    outcome: Annotated[Outcome, one_of(Outcome)]
    exit_code: ExitCode
    detail: DetailObject
    output_length: Count
    output_sha256: Sha256


@dataclass(frozen=True, slots=True)
class Cancel:
    run: Id


@dataclass(frozen=True, slots=True)
class Poll:
    holding: Annotated[tuple[Holding, ...], many(nested(Holding), MAX_ENTRIES)]
    ready: Flag


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`running` runs are under way; `load` is the one-minute load average, per CPU."""

    running: Count
    load: Number


@dataclass(frozen=True, slots=True)
class HeartbeatAck:
    """`cancel` lists the runs that are to be cancelled and have not ended yet."""

    server_time: Instant
    cancel: Annotated[tuple[str, ...], many(UUID_TEXT, MAX_ENTRIES)]
    session_ok: Flag


@dataclass(frozen=True, slots=True)
class Fetch:
    run: Id
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Source:
    run: Id
    sha256: Sha256
    url: Annotated[str, text(4_000)]
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Facts:
    facts: FactsObject


@dataclass(frozen=True, slots=True)
class Update:
    key_id: KeyId
    terms: Binary
    signature: Signature


@dataclass(frozen=True, slots=True)
class Recall:
    runs: Annotated[tuple[str, ...], many(UUID_TEXT, MAX_RECALLED_RUNS)]


@dataclass(frozen=True, slots=True)
class Recalled:
    journal: Annotated[tuple[JournalEntry, ...], many(nested(JournalEntry), MAX_RECALLED_RUNS)]
    more: Flag


AgentFrame = (
    Hello
    | Start
    | Reject
    | Giveback
    | Output
    | Result
    | Poll
    | Heartbeat
    | Fetch
    | Facts
    | Recalled
)
ServerFrame = (
    Challenge
    | Welcome
    | Grant
    | Go
    | Stop
    | Ack
    | OutputAck
    | Cancel
    | HeartbeatAck
    | Source
    | Update
    | Recall
)
Frame = AgentFrame | ServerFrame
