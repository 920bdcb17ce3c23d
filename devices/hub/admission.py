"""From hello to welcome: who it is, the fence, and what becomes of the runs it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from django.conf import settings

from devices import keys, sessions
from devices.agent import protocol
from devices.hub.lane import Lane
from devices.hub.link import Link, Refused
from devices.hub.recalling import NextFrame, recall
from devices.hub.register import Register
from devices.hub.threads import Threads, Unavailable
from devices.ledger_port import JournalRow, Ledger, RunGrant, RunResult, RunVerdict, Session

CLOSE_TRY_AGAIN_LATER = 1013
HELLOS_AT_ONCE = 2
"""Of the hub's threads; the others go on with the runs while 2,000 agents reconnect."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What this server tells of itself; read anew every few seconds, for keys rotate."""

    server_id: str
    chain: tuple[protocol.ServerKey, ...]
    key_ids: frozenset[str]

    @classmethod
    def read(cls) -> Identity:
        chain = keys.chain()
        return cls(str(keys.server_id()), chain, frozenset(link.key_id for link in chain))


@dataclass(frozen=True, slots=True)
class _Waiting:
    opening: sessions.Opening
    answer: asyncio.Future[_Admitted]


@dataclass(frozen=True, slots=True)
class _Admitted:
    """`is_settled`: the device has no runs under way, as far as the server knows."""

    admission: sessions.Admission
    is_settled: bool


class Admissions:
    def __init__(
        self,
        ledger: Ledger,
        threads: Threads,
        register: Register,
        deliver: Callable[[Link, Iterable[RunGrant]], None],
    ) -> None:
        self._ledger = ledger
        self._threads = threads
        self._register = register
        self._deliver = deliver
        self._hellos = asyncio.Semaphore(HELLOS_AT_ONCE)
        self.lane: Lane[Link, _Waiting] = Lane("admission", self._admit, batch_weight=200)

    async def open(
        self,
        link: Link,
        nonce: bytes,
        hello: protocol.Hello,
        identity: Identity,
        next_frame: NextFrame,
    ) -> bool:
        """Welcomes the device, and answers whether it had been offline. Raises Refused."""
        if hello.protocol != protocol.SUBPROTOCOL:
            raise Refused(protocol.CLOSE_NOT_THE_PROTOCOL)
        admitted = await self._judged(link, nonce, hello, identity)
        admission = admitted.admission
        if admission.refused_with is not None:
            raise Refused(admission.refused_with)
        session = admission.session
        journal = [_journal_row(session.device, entry) for entry in hello.journal]
        try:
            if admission.in_recovery:
                verdicts = await self._recovered(link, session, hello, next_frame)
            elif admitted.is_settled and not journal:
                verdicts = []
            else:
                verdicts = await self._judge(lambda: self._ledger.hello(session, journal))
        except Unavailable:
            raise Refused(CLOSE_TRY_AGAIN_LATER) from None
        if not self._register.holds(link):
            raise Refused(protocol.CLOSE_FENCED)
        link.send(_welcome(session, identity, _on_every(hello.journal, verdicts)))
        link.known_keys, link.is_open = identity.key_ids, True
        if any(row.state == "claimed" for row in journal):
            await self._grant_again(link, session)
        return admission.came_online

    async def _grant_again(self, link: Link, session: Session) -> None:
        """What the device keeps claimed, as it is signed now."""
        with suppress(Unavailable):
            answer = await self._threads.call(lambda: self._ledger.poll(session, {}))
            if self._register.holds(link):
                self._deliver(link, answer.grants)

    async def _judged(
        self, link: Link, nonce: bytes, hello: protocol.Hello, identity: Identity
    ) -> _Admitted:
        opening = sessions.Opening(
            Session(UUID(hello.device_id), uuid4()),
            protocol.hello_bytes(nonce, identity.server_id, hello.device_id),
            hello.signature,
            hello.agent_version,
            hello.facts,
        )
        waiting = _Waiting(opening, asyncio.get_running_loop().create_future())
        self.lane.put(link, waiting)
        return await waiting.answer

    async def _admit(self, batch: dict[Link, _Waiting]) -> None:
        links = {waiting.opening.session: link for link, waiting in batch.items()}
        answers = {waiting.opening.session: waiting.answer for waiting in batch.values()}
        openings = [waiting.opening for waiting in batch.values()]
        now = asyncio.get_running_loop().time()
        try:
            for admitted in await self._threads.call_each(self._write, openings):
                admission = admitted.admission
                # Registered here, before the next batch: the register keeps the rows' order.
                if admission.refused_with is None:
                    self._register.enter(links[admission.session], admission.session, now)
                _settle_future(answers[admission.session], admitted)
        finally:
            for session, answer in answers.items():
                refused = sessions.Admission(session, CLOSE_TRY_AGAIN_LATER)
                _settle_future(answer, _Admitted(refused, False))

    def _write(self, openings: Sequence[sessions.Opening]) -> list[_Admitted]:
        """Thousands that reconnect at once have nothing to settle: one question serves them all. What
        an earlier session's last claim has still to commit is queued again by its age."""
        admissions = sessions.admit(openings)
        devices = {one.session.device for one in admissions if one.refused_with is None}
        unsettled = self._ledger.unsettled(devices)
        return [_Admitted(one, one.session.device not in unsettled) for one in admissions]

    async def _judge(self, judge: Callable[[], list[RunVerdict]]) -> list[RunVerdict]:
        async with self._hellos:
            return await self._threads.call(judge)

    async def _recovered(
        self, link: Link, session: Session, hello: protocol.Hello, next_frame: NextFrame
    ) -> list[RunVerdict]:
        """After a restore: the verdicts are taken from journal and tombstones."""
        asked = await self._threads.call(lambda: self._ledger.recall(session))
        told = await recall(link, asked, next_frame) if asked else []
        # What was told last counts: a run may have ended since the hello.
        known = {entry.run: entry for entry in [*hello.journal, *told]}
        journal = [_journal_row(session.device, entry) for entry in known.values()]
        is_whole = not hello.facts.get("journal_damaged")
        return await self._judge(
            lambda: self._ledger.recalled(session, asked, journal, is_whole=is_whole)
        )


def _on_every(
    journal: Sequence[protocol.JournalEntry], told: Sequence[RunVerdict]
) -> list[protocol.Verdict]:
    """The ledger's verdicts on what the hello listed, a run may have two; keep for what it says
    nothing of."""
    words: dict[UUID, list[str]] = {UUID(entry.run): [] for entry in journal}
    for one in told:
        if one.run in words:
            words[one.run].append(one.verdict)
    return [
        protocol.Verdict(str(run), protocol.VerdictWord(word))
        for run in words
        for word in words[run] or ["keep"]
    ]


def _settle_future(future: asyncio.Future[_Admitted], admitted: _Admitted) -> None:
    # The consumer may have been cancelled meanwhile.
    if not future.done():
        future.set_result(admitted)


def _welcome(
    session: Session, identity: Identity, verdicts: list[protocol.Verdict]
) -> protocol.Welcome:
    return protocol.Welcome(
        session=str(session.session),
        limits=_limits(),
        server_time=datetime.now(UTC),
        server_keys=identity.chain,
        verdicts=tuple(verdicts),
    )


def _limits() -> protocol.Limits:
    return protocol.Limits(
        heartbeat_seconds=settings.DEPLOYX_HEARTBEAT_SECONDS,
        poll_seconds=settings.DEPLOYX_POLL_SECONDS,
        max_runs=settings.DEPLOYX_RUNS_PER_DEVICE,
    )


def _journal_row(device: UUID, entry: protocol.JournalEntry) -> JournalRow:
    run = UUID(entry.run)
    found = entry.result
    if found is None:
        return JournalRow(run, entry.state.value)
    return JournalRow(
        run,
        entry.state.value,
        RunResult(
            device,
            run,
            found.outcome.value,
            found.exit_code,
            found.detail,
            found.output_length,
            found.output_sha256,
        ),
    )
