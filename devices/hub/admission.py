"""From hello to welcome: who it is, the fence, and what becomes of the runs it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from django.conf import settings

from devices import keys, sessions
from devices.agent import protocol
from devices.hub.lane import Lane
from devices.hub.link import Link, Refused
from devices.hub.register import Register
from devices.hub.threads import Threads, Unavailable
from devices.ledger_port import JournalRow, Ledger, RunResult, Session

CLOSE_TRY_AGAIN_LATER = 1013
HELLOS_AT_ONCE = 2
"""Of the hub's threads; the others go on with the runs while 2,000 agents reconnect."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What this server tells of itself; read anew every few seconds, for keys rotate."""

    server_id: str
    chain: tuple[protocol.ServerKey, ...]

    @classmethod
    def read(cls) -> Identity:
        return cls(str(keys.server_id()), keys.chain())


@dataclass(frozen=True, slots=True)
class _Waiting:
    opening: sessions.Opening
    answer: asyncio.Future[sessions.Admission]


class Admissions:
    def __init__(self, ledger: Ledger, threads: Threads, register: Register) -> None:
        self._ledger = ledger
        self._threads = threads
        self._register = register
        self._hellos = asyncio.Semaphore(HELLOS_AT_ONCE)
        self.lane: Lane[Link, _Waiting] = Lane("admission", self._admit, batch_weight=200)

    async def open(
        self, link: Link, nonce: bytes, hello: protocol.Hello, identity: Identity
    ) -> bool:
        """Welcomes the device, and answers whether it had been offline. Raises Refused."""
        if hello.protocol != protocol.SUBPROTOCOL:
            raise Refused(protocol.CLOSE_NOT_THE_PROTOCOL)
        admission = await self._judged(link, nonce, hello, identity)
        if admission.refused_with is not None:
            raise Refused(admission.refused_with)
        session = admission.session
        journal = [_journal_row(session.device, entry) for entry in hello.journal]
        try:
            async with self._hellos:
                verdicts = await self._threads.call(lambda: self._settle(session, journal))
        except Unavailable:
            raise Refused(CLOSE_TRY_AGAIN_LATER) from None
        if not self._register.holds(link):
            raise Refused(protocol.CLOSE_FENCED)
        link.send(_welcome(session, identity, verdicts))
        link.is_open = True
        return admission.came_online

    async def _judged(
        self, link: Link, nonce: bytes, hello: protocol.Hello, identity: Identity
    ) -> sessions.Admission:
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
            for admission in await self._threads.call_each(sessions.admit, openings):
                # Registered here, before the next batch: the register keeps the rows' order.
                if admission.refused_with is None:
                    self._register.enter(links[admission.session], admission.session, now)
                _settle_future(answers[admission.session], admission)
        finally:
            for session, answer in answers.items():
                _settle_future(answer, sessions.Admission(session, CLOSE_TRY_AGAIN_LATER))

    def _settle(self, session: Session, journal: Sequence[JournalRow]) -> list[protocol.Verdict]:
        """The ledger's verdicts, a run may have two; keep for what it says nothing of."""
        told = self._ledger.hello(session, journal)
        judged = {one.run for one in told}
        verdicts = [
            protocol.Verdict(str(one.run), protocol.VerdictWord(one.verdict)) for one in told
        ]
        return verdicts + [
            protocol.Verdict(str(row.run), protocol.VerdictWord.KEEP)
            for row in journal
            if row.run not in judged
        ]


def _settle_future(
    future: asyncio.Future[sessions.Admission], admission: sessions.Admission
) -> None:
    # The consumer may have been cancelled meanwhile.
    if not future.done():
        future.set_result(admission)


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
