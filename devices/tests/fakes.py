"""The two edges of the hub, as tests need them: a ledger in memory, and an agent at the line."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID, uuid4

from django.db import OperationalError
from websockets.asyncio.client import ClientConnection

from devices.agent import protocol
from devices.ledger_port import (
    JournalRow,
    OutputNext,
    PollAnswer,
    RunAck,
    RunFetch,
    RunGiveback,
    RunGo,
    RunGrant,
    RunOutput,
    RunReject,
    RunResult,
    RunSource,
    RunStop,
    RunVerdict,
    Session,
)

FrameType = TypeVar("FrameType", bound=protocol.ServerFrame)


@dataclass
class FakeRun:
    id: UUID
    device: UUID
    status: str = "queued"
    session: UUID | None = None
    output: bytes = b""
    is_cancelling: bool = False


@dataclass
class Answer:
    """What `recalled` was called with."""

    asked: list[UUID]
    journal: list[JournalRow]
    is_whole: bool


@dataclass
class FakeLedger:
    """Keeps the rules the hub relies on; `is_away` makes every call fail as PostgreSQL's absence
    does, `failing` those of these names, `poison` the calls that carry that output. `forgotten`
    is what else `devices` asked of the packages above. A device in recovery is asked for its `recalls`."""

    runs: dict[UUID, FakeRun] = field(default_factory=dict)
    is_away: bool = False
    failing: set[str] = field(default_factory=set)
    poison: bytes | None = None
    calls: list[str] = field(default_factory=list)
    came_online: list[UUID] = field(default_factory=list)
    revoked: list[UUID] = field(default_factory=list)
    forgotten: list[UUID] = field(default_factory=list)
    verdicts: dict[UUID, list[str]] = field(default_factory=dict)
    recalls: dict[UUID, list[UUID]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    key_id: str = "0" * 16
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, device: UUID) -> FakeRun:
        run = FakeRun(uuid4(), device)
        self.runs[run.id] = run
        return run

    def hello(self, session: Session, journal: Sequence[JournalRow]) -> list[RunVerdict]:
        with self._called("hello"):
            for run in self.runs.values():
                if run.device == session.device and run.status == "claimed":
                    run.status, run.session = "queued", None
            return [
                RunVerdict(row.run, word)
                for row in journal
                for word in self.verdicts.get(row.run, [])
            ]

    def fetch(self, fetches: Sequence[RunFetch]) -> list[RunSource | RunStop]:
        with self._called("fetch"):
            return [RunStop(one.device, one.run, "unknown") for one in fetches]

    def recall(self, session: Session) -> list[UUID]:
        with self._called("recall"):
            return self.recalls.get(session.device, [])

    def recalled(
        self,
        session: Session,
        asked: Collection[UUID],
        journal: Sequence[JournalRow],
        *,
        is_whole: bool,
    ) -> list[RunVerdict]:
        with self._called("recalled"):
            self.answers.append(Answer(list(asked), list(journal), is_whole))
            return [
                RunVerdict(row.run, word)
                for row in journal
                for word in self.verdicts.get(row.run, [])
            ]

    def claim(self, sessions: Sequence[Session]) -> list[RunGrant]:
        with self._called("claim"):
            live = {one.device: one.session for one in sessions}
            claimed = [
                run for run in self.runs.values() if run.status == "queued" and run.device in live
            ]
            for run in claimed:
                run.status, run.session = "claimed", live[run.device]
            return [_grant(run, self.key_id) for run in claimed]

    def waiting(self) -> set[UUID]:
        with self._called("waiting"):
            return {run.device for run in self.runs.values() if run.status == "queued"}

    def unsettled(self, devices: Collection[UUID]) -> set[UUID]:
        with self._called("unsettled"):
            under_way = ("claimed", "running")
            mine = [run for run in self.runs.values() if run.status in under_way]
            return {run.device for run in mine if run.device in devices}

    def polls(
        self, asked: Sequence[tuple[Session, Mapping[UUID, str]]]
    ) -> list[tuple[Session, PollAnswer]]:
        return [(session, self.poll(session, holding)) for session, holding in asked]

    def poll(self, session: Session, holding: Mapping[UUID, str]) -> PollAnswer:
        with self._called("poll"):
            mine = [run for run in self.runs.values() if run.session == session.session]
            return PollAnswer(
                [
                    _grant(run, self.key_id)
                    for run in mine
                    if run.status == "claimed" and run.id not in holding
                ],
                [
                    RunGo(run.device, run.id, 60)
                    for run in mine
                    if run.status == "running" and holding.get(run.id) == "claimed"
                ],
            )

    def start(self, starts: Sequence[tuple[Session, UUID]]) -> list[RunGo | RunStop]:
        with self._called("start"):
            return [self._start(session, run_id) for session, run_id in starts]

    def results(self, results: Sequence[RunResult]) -> list[RunAck]:
        with self._called("results"):
            for one in results:
                if (run := self._of(one.device, one.run)) is not None:
                    run.status = one.outcome
            return [self._ack(one.device, one.run) for one in results]

    def output(self, chunks: Sequence[RunOutput]) -> list[OutputNext]:
        with self._called("output"):
            if self.poison is not None and any(self.poison in one.data for one in chunks):
                raise ValueError("cannot be stored")
            return [self._append(chunk) for chunk in chunks]

    def rejects(self, rejects: Sequence[RunReject]) -> list[RunAck]:
        with self._called("rejects"):
            for one in rejects:
                if (run := self._of(one.device, one.run)) is not None:
                    run.status = "rejected"
            return [self._ack(one.device, one.run) for one in rejects]

    def givebacks(self, givebacks: Sequence[RunGiveback]) -> list[RunAck]:
        with self._called("givebacks"):
            for one in givebacks:
                run = self._of(one.session.device, one.run)
                if run is not None and run.session == one.session.session:
                    run.status, run.session = "queued", None
            return [self._ack(one.session.device, one.run) for one in givebacks]

    def cancels(self) -> dict[UUID, list[UUID]]:
        with self._called("cancels"):
            return {
                run.device: [run.id]
                for run in self.runs.values()
                if run.is_cancelling and run.status == "running"
            }

    def device_came_online(self, devices: Sequence[UUID]) -> None:
        with self._called("device_came_online"):
            self.came_online.extend(devices)

    def device_revoked(self, device: UUID) -> None:
        with self._called("device_revoked"):
            self.revoked.append(device)

    def _called(self, name: str) -> threading.RLock:
        self.calls.append(name)
        if self.is_away or name in self.failing:
            raise OperationalError("the server closed the connection unexpectedly")
        return self._lock

    def _of(self, device: UUID, run_id: UUID) -> FakeRun | None:
        run = self.runs.get(run_id)
        return run if run is not None and run.device == device else None

    def _ack(self, device: UUID, run_id: UUID) -> RunAck:
        run = self._of(device, run_id)
        return RunAck(device, run_id, "unknown" if run is None else run.status)

    def _start(self, session: Session, run_id: UUID) -> RunGo | RunStop:
        run = self._of(session.device, run_id)
        if run is None or run.session != session.session:
            return RunStop(session.device, run_id, "unknown")
        if run.status not in ("claimed", "running"):
            return RunStop(session.device, run_id, run.status)
        run.status = "running"
        return RunGo(run.device, run.id, 60)

    def _append(self, chunk: RunOutput) -> OutputNext:
        run = self._of(chunk.device, chunk.run)
        if run is None:
            return OutputNext(chunk.device, chunk.run, -1)
        if chunk.skipped and chunk.offset - chunk.skipped == len(run.output):
            run.output += bytes(chunk.skipped)
        if chunk.offset == len(run.output):
            run.output += chunk.data
        return OutputNext(chunk.device, chunk.run, len(run.output))


def _grant(run: FakeRun, key_id: str) -> RunGrant:
    return RunGrant(run.device, run.id, key_id, b"{}", bytes(64), b"payload")


@dataclass
class FakeAgent:
    """A device's key and, once connected, its socket. It answers nothing by itself."""

    device: UUID
    private_key: bytes
    socket: ClientConnection | None = None
    welcome: protocol.Welcome | None = None

    async def say_hello(
        self,
        socket: ClientConnection,
        journal: Sequence[protocol.JournalEntry] = (),
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """Answers the challenge that the socket begins with."""
        self.socket = socket
        challenge = await self.receive(protocol.Challenge)
        signed = protocol.hello_bytes(challenge.nonce, challenge.server_id, str(self.device))
        await self.send(
            protocol.Hello(
                str(self.device),
                protocol.SUBPROTOCOL,
                "1.0.0",
                dict(facts or {"hostname": "web-1", "os": "linux", "architecture": "amd64"}),
                protocol.sign(self.private_key, signed),
                tuple(journal),
            )
        )

    async def send(self, frame: protocol.AgentFrame) -> None:
        assert self.socket is not None
        await self.socket.send(protocol.encode(frame))

    async def receive(self, wanted: type[FrameType]) -> FrameType:
        """The next frame, which must be of this type."""
        assert self.socket is not None
        text = await self.socket.recv()
        assert isinstance(text, str)
        frame = protocol.decode_from_server(text)
        assert isinstance(frame, wanted), frame
        return frame
