"""One run as a simulated device's journal holds it, and how far its output has got."""

from __future__ import annotations

import hashlib

from benchmarks.simulated.habits import Habits
from benchmarks.simulated.tally import RunOnDevice
from benchmarks.simulated.work import written
from devices.agent import protocol

STILL_OPEN = frozenset({"pending", "queued", "claimed", "running"})


NEVER = float("-inf")
STUCK_SECONDS = 10.0


class Run:
    """`said_at` is when START, the result or the question for the server's place was last said in
    this session; `is_asking` until the server has said how much of the output it has."""

    __slots__ = (
        "acked", "began_at", "evidence", "id", "is_asking", "is_cancelled", "moved_at", "said_at",
        "sent", "settled", "starts", "state",
    )  # fmt: skip

    def __init__(self, run: str) -> None:
        self.id = run
        self.state = protocol.JournalState.CLAIMED
        self.starts = 0
        self.began_at = 0.0
        self.is_cancelled = False
        self.evidence: protocol.Evidence | None = None
        self.sent = self.acked = 0
        self.said_at = self.moved_at = NEVER
        self.is_asking = False
        self.settled: str | None = None

    @property
    def is_claimed(self) -> bool:
        return self.state is protocol.JournalState.CLAIMED

    @property
    def is_delivered(self) -> bool:
        """Whether it has ended and the server has all of its output."""
        return self.evidence is not None and self.acked >= self.evidence.output_length

    def enter_session(self, habits: Habits) -> None:
        self.said_at = NEVER
        self.is_asking = not self.is_claimed and habits.output_bytes > 0

    def begin(self, now: float) -> None:
        self.state = protocol.JournalState.GO
        self.starts += 1
        self.began_at, self.said_at = now, NEVER

    def written_at(self, now: float, habits: Habits) -> int:
        """How many bytes there are by now."""
        if self.evidence is not None:
            return self.evidence.output_length
        if habits.runs_for_seconds <= 0:
            return habits.output_bytes
        share = (now - self.began_at) / habits.runs_for_seconds
        return int(habits.output_bytes * min(1.0, share))

    def has_time_left(self, now: float, habits: Habits) -> bool:
        return not self.is_cancelled and now < self.began_at + habits.runs_for_seconds

    def end(self, now: float, habits: Habits) -> None:
        length = self.written_at(now, habits)
        outcome = protocol.Outcome.FAILED if habits.exit_code else protocol.Outcome.SUCCEEDED
        if self.is_cancelled:
            outcome = protocol.Outcome.CANCELLED
        self.evidence = protocol.Evidence(
            outcome,
            None if self.is_cancelled else habits.exit_code,
            {"summary": outcome.value},
            length,
            _sha256(self.id, length),
        )
        self.state = protocol.JournalState.ENDED

    def acknowledged(self, upto: int, now: float) -> None:
        """The server has this much. It may have less than was sent, where it lost a batch."""
        if self.is_asking or upto < self.acked or self.is_stuck(now):
            self.is_asking, self.said_at = False, NEVER
            self.sent = upto
        if upto != self.acked:
            self.moved_at = now
        self.acked, self.sent = upto, max(self.sent, upto)

    def is_stuck(self, now: float) -> bool:
        return self.sent > self.acked and now - self.moved_at > STUCK_SECONDS

    def entry(self) -> protocol.JournalEntry:
        """For hello. A run whose output the server may not have is told as still going on."""
        if self.is_delivered:
            return protocol.JournalEntry(self.id, self.state, self.evidence)
        state = self.state if self.is_claimed else protocol.JournalState.GO
        return protocol.JournalEntry(self.id, state)

    def result(self) -> protocol.Result:
        found = self.evidence
        assert found is not None
        return protocol.Result(
            self.id, found.outcome, found.exit_code, found.detail,
            found.output_length, found.output_sha256,
        )  # fmt: skip

    def told(self, device: str) -> RunOnDevice:
        found = self.evidence
        return RunOnDevice(
            device,
            self.id,
            self.starts,
            None if found is None else found.outcome.value,
            0 if found is None else found.output_length,
            "" if found is None else found.output_sha256,
            self.settled,
        )


_NOTHING = hashlib.sha256(b"").hexdigest()


def _sha256(run: str, length: int) -> str:
    return hashlib.sha256(written(run, 0, length)).hexdigest() if length else _NOTHING
