"""The hub: what agents say goes to the ledger in batches, and its answers go back to them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from devices import sessions
from devices.agent import protocol
from devices.hub.admission import Admissions, Identity
from devices.hub.claims import Claims
from devices.hub.evidence import Evidence
from devices.hub.lane import Lane
from devices.hub.link import Link, Refused
from devices.hub.recalling import NextFrame
from devices.hub.register import Register
from devices.hub.threads import Threads, Unavailable
from devices.hub.upkeep import Upkeep
from devices.hub.wakes import listen
from devices.ledger_port import (
    Ledger,
    RunAck,
    RunFetch,
    RunGiveback,
    RunGo,
    RunReject,
    RunSource,
    Session,
)

log = structlog.get_logger(__name__)
POLLS_GATHER_SECONDS = 0.1
"""Nobody waits for the answer to a poll, and 10,000 agents send 170 a second."""


_Return = RunReject | RunGiveback | bool
_Of = tuple[UUID, UUID]  # a device and a run: another's frame about it takes nobody's place


@dataclass(frozen=True, slots=True)
class Report:
    """How this process's hub is doing."""

    connected: int
    contested: frozenset[UUID]


class Hub:
    """Start and stop it on the loop that serves the sockets. All methods but `start`, `stop`,
    `welcome` and `room` return at once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tasks: list[asyncio.Task[None]] = []
        self._is_running = False

    @property
    def identity(self) -> Identity | None:
        """None until the database could be asked: nobody can be welcomed yet."""
        return self._upkeep.identity if self._is_running else None

    async def start(self) -> None:
        self._threads = Threads()
        self._register = Register()
        self._upkeep = Upkeep(self._ledger, self._threads, self._register)
        self._claims = Claims(self._ledger, self._threads, self._register, self._upkeep.new_key)
        self._admissions = Admissions(
            self._ledger, self._threads, self._register, self._claims.deliver
        )
        self._evidence = Evidence(self._ledger, self._threads, self._register, self._claims)
        self._starts: Lane[tuple[Session, UUID], None] = Lane("starts", self._start)
        self._returns: Lane[_Of | Session, _Return] = Lane("returns", self._return)
        self._polls: Lane[Session, dict[UUID, str]] = Lane(
            "polls", self._poll, gather_seconds=POLLS_GATHER_SECONDS
        )
        self._fetches: Lane[RunFetch, None] = Lane("fetches", self._fetch, batch_weight=100)
        await self._upkeep.begin()
        self._is_running = True
        self._tasks = [asyncio.create_task(work) for work in self._work()]
        log.info("hub_started")

    async def stop(self) -> None:
        """Agents lose nothing: whatever was not acknowledged they will repeat elsewhere."""
        self._is_running = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._threads.close()
        log.info("hub_stopped")

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [
            self._admissions.lane.work(),
            self._evidence.lane.work(),
            self._starts.work(),
            self._returns.work(),
            self._polls.work(),
            self._fetches.work(),
            self._claims.work(),
            self._upkeep.check(),
            self._upkeep.write_presence(),
            listen(wake=self.wake, offer=self._claims.want_all),
        ]

    def wake(self) -> None:
        """Looks for runs to grant, to cancel, and for sessions that have ended."""
        self._claims.want_all()
        self._upkeep.check_soon()

    def report(self) -> Report:
        now = asyncio.get_running_loop().time()
        return Report(len(self._register), frozenset(self._register.contested(now)))

    async def welcome(
        self, link: Link, nonce: bytes, hello: protocol.Hello, next_frame: NextFrame
    ) -> None:
        """Raises Refused. Nothing is claimed yet: the agent's first poll asks for that.

        `next_frame` reads from the device what it is asked for before its welcome.
        """
        identity = self.identity
        if identity is None:
            raise Refused(1013)
        came_online = await self._admissions.open(link, nonce, hello, identity, next_frame)
        if came_online and link.session is not None:
            self._upkeep.came_online({link.session.device})

    def leave(self, link: Link) -> None:
        if self._is_running:
            self._register.leave(link)

    async def room(self, link: Link) -> None:
        """Waits until this link may be read on: its own answers and the ledger keep up."""
        if link.is_backed_up:
            await link.drained()
        await self._evidence.lane.room()

    def receive(self, link: Link, frame: protocol.AgentFrame) -> None:
        """Takes a frame of an open link. Raises Refused for one that has no place here."""
        session = link.session
        if session is None or not link.is_open:
            raise Refused(protocol.CLOSE_NOT_THE_PROTOCOL)
        match frame:
            case protocol.Heartbeat():
                link.send(protocol.HeartbeatAck(datetime.now(UTC), link.cancels, True))
            case protocol.Output() | protocol.Result():
                self._evidence.put(session, frame)
            case protocol.Start():
                self._starts.put((session, UUID(frame.run)), None)
            case protocol.Poll():
                self._set_ready(link, session, frame.ready)
                self._polls.put(session, {UUID(h.run): h.state.value for h in frame.holding})
            case protocol.Reject():
                run = UUID(frame.run)
                reject = RunReject(session.device, run, frame.code.value, frame.detail)
                self._returns.put((session.device, run), reject)
            case protocol.Giveback():
                self._give_back(link, session, frame)
            case protocol.Facts():
                self._upkeep.describe(session.device, frame.facts)
            case protocol.Fetch():
                self._fetches.put(RunFetch(session.device, UUID(frame.run), frame.sha256), None)
            case protocol.Recalled():
                log.info("recalled_unasked", device=str(session.device))
            case protocol.Hello():
                raise Refused(protocol.CLOSE_NOT_THE_PROTOCOL)

    def _give_back(self, link: Link, session: Session, frame: protocol.Giveback) -> None:
        claimed_in = UUID(frame.session)
        if claimed_in == session.session:
            self._set_ready(link, session, False)
        run = UUID(frame.run)
        giveback = RunGiveback(Session(session.device, claimed_in), run)
        self._returns.put((session.device, run), giveback)

    def _set_ready(self, link: Link, session: Session, is_ready: bool) -> None:
        if link.is_ready != is_ready:
            link.is_ready = is_ready
            self._returns.put(session, is_ready)

    async def _start(self, batch: dict[tuple[Session, UUID], None]) -> None:
        """A GO reaches only the session that asked: another would start what it never claimed."""
        asked = {(s.device, run): s for s, run in batch if self._register.of_session(s)}
        starts = sorted(((session, run) for (_, run), session in asked.items()), key=_run)
        if not starts:
            return
        for answer in await self._threads.call_each(self._ledger.start, starts):
            link = self._register.of_session(asked[answer.device, answer.run])
            if link is None:
                continue
            if isinstance(answer, RunGo):
                link.send(protocol.Go(str(answer.run), answer.timeout_seconds))
            else:
                link.send(protocol.Stop(str(answer.run), answer.reason))

    async def _fetch(self, batch: dict[RunFetch, None]) -> None:
        for answer in await self._threads.call_each(self._ledger.fetch, list(batch)):
            link = self._register.of(answer.device)
            if link is None:
                continue
            if isinstance(answer, RunSource):
                run = str(answer.run)
                link.send(protocol.Source(run, answer.sha256, answer.url, answer.expires_at))
            else:
                link.send(protocol.Stop(str(answer.run), answer.reason))

    async def _return(self, batch: dict[_Of | Session, _Return]) -> None:
        """What agents refuse and give back, and then whether they take more: the last word."""
        words = {
            session: word
            for session, word in batch.items()
            if isinstance(session, Session) and isinstance(word, bool)
        }
        try:
            answers = await self._settle(list(batch.values()))
        except Unavailable:
            await self._put_back(words)
            raise
        for answer in answers:
            if link := self._register.of(answer.device):
                link.send(protocol.Ack(str(answer.run), answer.state))
        self._claims.want(answer.device for answer in answers)
        unwritten = {s: word for s, word in words.items() if not await self._write_ready(s, word)}
        if unwritten:
            await self._put_back(unwritten)

    async def _settle(self, returns: Sequence[_Return]) -> list[RunAck]:
        rejects = [one for one in returns if isinstance(one, RunReject)]
        givebacks = [one for one in returns if isinstance(one, RunGiveback)]
        answers = []
        if rejects:
            answers += await self._threads.call_each(self._ledger.rejects, rejects)
        if givebacks:
            answers += await self._threads.call_each(self._ledger.givebacks, givebacks)
        return answers

    async def _write_ready(self, session: Session, is_ready: bool) -> bool:
        """Whether it could be written."""
        try:
            await self._threads.call(lambda: sessions.set_ready(session, is_ready))
        except Unavailable:
            return False
        if is_ready:
            self._claims.want([session.device])
        return True

    async def _put_back(self, words: Mapping[Session, bool]) -> None:
        """The agent says it once; nobody else would say it again."""
        await asyncio.sleep(1)
        for session, is_ready in words.items():
            self._returns.put_unless_newer(session, is_ready)

    async def _poll(self, batch: dict[Session, dict[UUID, str]]) -> None:
        polls = list(batch.items())
        for session, answer in await self._threads.call_each(self._ledger.polls, polls):
            link = self._register.of_session(session)
            if link is None:
                continue
            self._claims.deliver(link, answer.grants)
            for go in answer.gos:
                link.send(protocol.Go(str(go.run), go.timeout_seconds))
        self._claims.want(session.device for session in batch)


def _run(start: tuple[Session, UUID]) -> UUID:
    return start[1]
