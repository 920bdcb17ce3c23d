"""Asks the ledger for what may be granted to the connected devices, in one call for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from uuid import UUID

import structlog

from devices.agent import protocol
from devices.hub.lane import GATHER_SECONDS
from devices.hub.link import Link
from devices.hub.register import Register
from devices.hub.threads import Threads, Unavailable
from devices.ledger_port import Ledger, RunGrant, Session

log = structlog.get_logger(__name__)
SESSIONS_AT_ONCE = 1_000
RETRY_SECONDS = 1.0
FEW = 20
"""For more devices than these it is asked first which of them anything waits for."""


class Claims:
    """However often it is asked while a claim is under way, one more follows. `new_key` is called
    when a grant is signed by a key that its device was not told of."""

    def __init__(
        self, ledger: Ledger, threads: Threads, register: Register, new_key: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._threads = threads
        self._register = register
        self._new_key = new_key
        self._devices: set[UUID] = set()
        self._wants_all = False
        self._wanted = asyncio.Event()

    def want(self, devices: Iterable[UUID]) -> None:
        self._devices.update(devices)
        if self._devices:
            self._wanted.set()

    def want_all(self) -> None:
        self._wants_all = True
        self._wanted.set()

    async def work(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(GATHER_SECONDS)
            sessions = await self._take()
            for first in range(0, len(sessions), SESSIONS_AT_ONCE):
                await self._claim(sessions[first : first + SESSIONS_AT_ONCE])

    async def _claim(self, sessions: list[Session]) -> None:
        try:
            grants = await self._threads.call(lambda: self._ledger.claim(sessions))
        except Unavailable as error:
            log.warning("claim_failed", sessions=len(sessions), why=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            self.want(session.device for session in sessions)
        except Exception:
            log.exception("claim_failed", sessions=len(sessions))
        else:
            self._deliver(sessions, grants)

    def _deliver(self, sessions: list[Session], grants: list[RunGrant]) -> None:
        """A grant whose session has ended meanwhile is settled at the device's next hello."""
        of_device = {session.device: session for session in sessions}
        for grant in grants:
            if link := self._register.of_session(of_device[grant.device]):
                self.deliver(link, [grant])

    def deliver(self, link: Link, grants: Iterable[RunGrant]) -> None:
        for grant in grants:
            if grant.key_id not in link.known_keys and link.is_open:
                # The agent would refuse it for good; at its next hello it is told of the key.
                self._register.leave(link)
                link.close(protocol.CLOSE_NEW_KEY)
                self._new_key()
                return
            link.send(
                protocol.Grant(
                    str(grant.run), grant.key_id, grant.terms, grant.signature, grant.payload
                )
            )

    async def _take(self) -> list[Session]:
        wants_all, devices = self._wants_all, self._devices
        self._wants_all, self._devices = False, set()
        self._wanted.clear()
        if wants_all or len(devices) > FEW:
            waiting = await self._waiting()
            devices = waiting if wants_all else devices & waiting
        links = [self._register.of(device) for device in devices]
        return [
            link.session
            for link in links
            if link is not None and link.is_open and link.is_ready and link.session is not None
        ]

    async def _waiting(self) -> set[UUID]:
        try:
            return await self._threads.call(self._ledger.waiting)
        except Unavailable as error:
            log.warning("claim_failed", why=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            self.want_all()
        except Exception:
            log.exception("claim_failed")
        return set()
