"""What the fake server holds about runs, and what it answers by itself: no more than the protocol says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from devices.agent.delivery import result_of
from devices.agent.protocol import (
    Ack,
    AgentFrame,
    Fetch,
    Giveback,
    Go,
    Heartbeat,
    HeartbeatAck,
    Hello,
    JournalEntry,
    JournalState,
    Outcome,
    Output,
    OutputAck,
    Poll,
    Reject,
    Result,
    ServerFrame,
    Source,
    Start,
    Stop,
    Verdict,
    VerdictWord,
)

from .fake_runs import Run


class FakeLedger:
    """Plain data that a test reads and changes."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.cancels: set[str] = set()
        self.addresses: dict[str, str] = {}
        self.answers_start = self.acks_output = self.acks_result = self.acks_rejects = True
        self.is_ready = self.session_ok = True
        self.time_shift = timedelta()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.time_shift

    def verdicts(self, hello: Hello) -> list[Verdict]:
        told = {entry.run: entry for entry in hello.journal}
        for run in self.runs.values():
            if run.state == "claimed" and run.id not in told:
                run.state = "queued"
            elif run.state == "running" and run.id not in told:
                run.state = "lost"
        return [
            Verdict(entry.run, word) for entry in hello.journal for word in self._verdict(entry)
        ]

    def _verdict(self, entry: JournalEntry) -> list[VerdictWord]:
        run = self.runs.get(entry.run)
        if run is None:
            return [VerdictWord.KEEP]
        if entry.result is not None:
            self._take(run, result_of(run.id, entry.result))
            return [VerdictWord.ACK]
        if entry.state is JournalState.GO:
            is_open = run.state in ("running", "lost")
            return [VerdictWord.KEEP] if is_open else [VerdictWord.KILL, VerdictWord.ACK]
        if run.state == "claimed":
            return [VerdictWord.KEEP]
        run.state = "lost" if run.state == "running" else run.state
        return [VerdictWord.DROP]

    def answers(self, frame: AgentFrame) -> list[ServerFrame]:
        run = self.runs.get(getattr(frame, "run", ""))
        match frame:
            case Heartbeat():
                return [HeartbeatAck(self.now, tuple(sorted(self.cancels)), self.session_ok)]
            case Poll():
                return self._polled(frame)
            case Fetch():
                return [self._source(frame)]
            case Start() | Output() if run is None:
                return [Stop(frame.run, "unknown")]
            case Start() if run is not None:
                return self._started(run)
            case Output() if run is not None:
                return self._received(run, frame)
            case Result() if run is None:
                return [Ack(frame.run, "unknown")]
            case Result() if run is not None:
                return self._ended(run, frame)
            case Reject() if run is not None:
                run.state = "rejected"
                return [Ack(run.id, run.state)] if self.acks_rejects else []
            case Giveback() if run is not None:
                self.is_ready = False
                if run.state == "claimed":
                    run.state = "queued"
                return [Ack(run.id, run.state)]
        return []

    def _source(self, fetch: Fetch) -> ServerFrame:
        url = self.addresses.get(fetch.sha256)
        if url is None:
            return Stop(fetch.run, "unknown")
        return Source(fetch.run, fetch.sha256, url, self.now + timedelta(minutes=15))

    def _polled(self, poll: Poll) -> list[ServerFrame]:
        """Grants what is not held, repeats GO, and claims what is new."""
        self.is_ready = poll.ready
        held = {one.run: one.state for one in poll.holding}
        frames: list[ServerFrame] = []
        for run in self.runs.values():
            if run.state == "running" and held.get(run.id) is JournalState.CLAIMED:
                frames.append(Go(run.id, run.timeout_seconds))
            elif run.id not in held and (
                run.state == "claimed" or (run.state == "queued" and poll.ready)
            ):
                run.state = "claimed"
                frames.append(run.grant)
        return frames

    def _started(self, run: Run) -> list[ServerFrame]:
        run.starts += 1
        if not self.answers_start:
            return []
        if run.state not in ("claimed", "running"):
            return [Stop(run.id, run.state)]
        run.state = "running"
        return [Go(run.id, run.timeout_seconds)]

    def _received(self, run: Run, frame: Output) -> list[ServerFrame]:
        run.take_output(frame)
        return [OutputAck(run.id, run.next)] if self.acks_output else []

    def _ended(self, run: Run, frame: Result) -> list[ServerFrame]:
        self._take(run, frame)
        return [Ack(run.id, run.state)] if self.acks_result else []

    def _take(self, run: Run, result: Result) -> None:
        run.results += run.result != result
        run.result = result
        self.cancels.discard(run.id)
        run.state = "lost" if result.outcome is Outcome.UNKNOWN else result.outcome.value
