"""What the hub asks of whoever keeps the runs; `deployx.routing` hands it the implementation.

Every function is synchronous and is one short transaction; the hub calls it on its own threads, with
whole batches. Ids are UUIDs, times are aware UTC, binary values are raw bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Session:
    """A device's one live connection; the fence against every earlier one."""

    device: UUID
    session: UUID


@dataclass(frozen=True, slots=True)
class RunGrant:
    device: UUID
    run: UUID
    key_id: str
    terms: bytes
    signature: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class RunGo:
    device: UUID
    run: UUID
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class RunStop:
    device: UUID
    run: UUID
    reason: str  # cancelled, expired, revoked, unknown


@dataclass(frozen=True, slots=True)
class RunAck:
    device: UUID
    run: UUID
    state: str  # the row's state now, or "unknown"


@dataclass(frozen=True, slots=True)
class RunVerdict:
    run: UUID
    verdict: str  # keep, drop, kill, ack


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What a device's journal says of a run: claimed, go, ended or unknown, the last two with a result."""

    run: UUID
    state: str
    result: RunResult | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    device: UUID
    run: UUID
    outcome: str  # succeeded, failed, timed_out, cancelled, unknown
    exit_code: int | None
    detail: Mapping[str, Any]
    output_length: int
    output_sha256: str


@dataclass(frozen=True, slots=True)
class RunReject:
    device: UUID
    run: UUID
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class RunGiveback:
    session: Session
    run: UUID


@dataclass(frozen=True, slots=True)
class RunOutput:
    device: UUID
    run: UUID
    offset: int
    stream: str
    data: bytes
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class RunFetch:
    device: UUID
    run: UUID
    sha256: str


@dataclass(frozen=True, slots=True)
class RunSource:
    """`url` is a path on this server, or an https address elsewhere."""

    device: UUID
    run: UUID
    sha256: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OutputNext:
    device: UUID
    run: UUID
    next: int  # -1 where the run is not this device's own


@dataclass(frozen=True, slots=True)
class PollAnswer:
    grants: list[RunGrant] = field(default_factory=list)
    gos: list[RunGo] = field(default_factory=list)


class Ledger(Protocol):
    """The keeper of runs. Answers come in no particular order; a race lost is a normal answer."""

    def hello(self, session: Session, journal: Sequence[JournalRow]) -> list[RunVerdict]:
        """Settles a device's unfinished runs against its journal. The caller has already written the
        new session to the device's row."""
        ...

    def recall(self, session: Session) -> list[UUID]:
        """For a device in recovery mode: the runs it is to be asked for."""
        ...

    def recalled(
        self,
        session: Session,
        asked: Collection[UUID],
        journal: Sequence[JournalRow],
        *,
        is_whole: bool,
    ) -> list[RunVerdict]:
        """In place of `hello`, for a device in recovery mode: `journal` is its hello's and what it
        answered of the runs `asked`; `is_whole` is false where its journal is damaged."""
        ...

    def unsettled(self, devices: Collection[UUID]) -> set[UUID]:
        """Those of these devices that have runs claimed or running: a hello of theirs is judged even
        where their journal is empty. Of all others, such a hello settles nothing."""
        ...

    def waiting(self) -> set[UUID]:
        """The devices, connected here or not, for which `claim` may find something."""
        ...

    def claim(self, sessions: Sequence[Session]) -> list[RunGrant]:
        """Claims what is queued for these sessions, within each device's limit."""
        ...

    def poll(self, session: Session, holding: Mapping[UUID, str]) -> PollAnswer:
        """What this session claimed and the agent does not hold, and the GOs it may have missed.
        `holding` maps a run to the agent's state of it. Claims nothing new."""
        ...

    def polls(
        self, asked: Sequence[tuple[Session, Mapping[UUID, str]]]
    ) -> list[tuple[Session, PollAnswer]]:
        """The same for many sessions, each with an answer."""
        ...

    def start(self, starts: Sequence[tuple[Session, UUID]]) -> list[RunGo | RunStop]:
        """The point of no return: claimed → running, or why not."""
        ...

    def results(self, results: Sequence[RunResult]) -> list[RunAck]: ...

    def output(self, chunks: Sequence[RunOutput]) -> list[OutputNext]: ...

    def rejects(self, rejects: Sequence[RunReject]) -> list[RunAck]: ...

    def givebacks(self, givebacks: Sequence[RunGiveback]) -> list[RunAck]: ...

    def fetch(self, fetches: Sequence[RunFetch]) -> list[RunSource | RunStop]:
        """Where a running run's own files are to be had, or why not. Changes nothing."""
        ...

    def cancels(self) -> dict[UUID, list[UUID]]:
        """For each device that has any, its running runs that are to be killed."""
        ...

    def device_came_online(self, devices: Sequence[UUID]) -> None:
        """A hint: runs that waited for these devices may be released."""
        ...

    def device_revoked(self, device: UUID) -> None:
        """Called in the transaction that revokes: unstarted runs end skipped, started ones lost."""
        ...
