"""What the hub looks after by itself: presence, ended sessions, cancels, silent connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from uuid import UUID

import structlog

from devices import agent_updates, presence, sessions
from devices.agent import protocol
from devices.hub.admission import Identity
from devices.hub.lane import GATHER_SECONDS
from devices.hub.link import Link
from devices.hub.register import Register
from devices.hub.threads import Threads, Unavailable
from devices.ledger_port import Ledger, Session

log = structlog.get_logger(__name__)
CHECK_SECONDS = 5.0
CHECKED_AT_ONCE = 1_000
"""So many sessions take the interpreter for two milliseconds; heartbeats are answered in between."""
PRESENCE_SECONDS = 1.0
PRESENCE_EVERY_SECONDS = 10.0
UNINFORMED_AT_ONCE = 500
SILENT_SECONDS = 75.0
"""Longer than the slowest heartbeat three times over: the connection is only half there."""


class Upkeep:
    def __init__(self, ledger: Ledger, threads: Threads, register: Register) -> None:
        self._ledger = ledger
        self._threads = threads
        self._register = register
        self._check_wanted = asyncio.Event()
        self._newly_online: set[UUID] = set()
        self._described: dict[UUID, dict[str, Any]] = {}
        self._is_identity_old = True
        self.identity: Identity | None = None

    async def begin(self) -> None:
        """Reads who this server is; later, should the database be away."""
        await self._attempt("hub_identity_not_read", self._read_identity)

    def check_soon(self) -> None:
        self._check_wanted.set()

    def new_key(self) -> None:
        """There is a signing key that this process does not know of yet."""
        self._is_identity_old = True
        self.check_soon()

    def came_online(self, devices: Collection[UUID]) -> None:
        self._newly_online |= set(devices)

    def describe(self, device: UUID, facts: dict[str, Any]) -> None:
        self._described[device] = facts

    async def check(self) -> None:
        """Every 5 s and soon after a wake, until cancelled."""
        loop = asyncio.get_running_loop()
        round_at = loop.time() + CHECK_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(round_at):
                    await self._check_wanted.wait()
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                round_at = loop.time() + CHECK_SECONDS
                self._close_silent()
                self._is_identity_old = True
                await self._attempt("agent_updates_not_offered", self._offer_updates)
                await self._attempt("contest_not_written", self._write_contested)
            self._check_wanted.clear()
            if self._is_identity_old:
                await self._attempt("hub_identity_not_read", self._read_identity)
            await self._attempt("hub_check_failed", self._check)

    async def write_presence(self) -> None:
        """Every second, until cancelled."""
        while True:
            await asyncio.sleep(PRESENCE_SECONDS)
            for step in (self._write_facts, self._write_seen, self._tell_online):
                await self._attempt("presence_not_written", step)

    async def _attempt(self, event: str, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Unavailable as error:
            log.warning(event, why=str(error))
        except Exception:
            log.exception(event)

    async def _read_identity(self) -> None:
        self._is_identity_old = False
        found = await self._threads.call(Identity.read)
        if found != self.identity:
            self.identity = found
        self._close_uninformed(found.key_ids)

    def _close_uninformed(self, key_ids: frozenset[str]) -> None:
        """Agents are told of a new key as they connect: all of them do so, a few at a time."""
        uninformed = [link for link in self._register.open() if link.known_keys != key_ids]
        for link in uninformed[:UNINFORMED_AT_ONCE]:
            self._register.leave(link)
            link.close(protocol.CLOSE_NEW_KEY)

    async def _check(self) -> None:
        held = [link.session for link in self._register if link.session is not None]
        if not held:
            return
        for first in range(0, len(held), CHECKED_AT_ONCE):
            await self._close_lapsed(held[first : first + CHECKED_AT_ONCE])
        await self._push_cancels()

    async def _close_lapsed(self, held: list[Session]) -> None:
        now = asyncio.get_running_loop().time()
        for lapsed in await self._threads.call(lambda: sessions.lapsed(held)):
            link = self._register.of_session(lapsed.session)
            if link is None:
                continue
            if lapsed.is_revoked:
                self._register.leave(link)
                link.close(protocol.CLOSE_REVOKED)
            else:
                self._register.fence(link, now)

    async def _push_cancels(self) -> None:
        wanted = await self._threads.call(self._ledger.cancels)
        for link in self._register.open():
            if link.session is not None and (wanted or link.cancels):
                _push(link, tuple(str(run) for run in wanted.get(link.session.device, ())))

    async def _offer_updates(self) -> None:
        known = self.identity.key_ids if self.identity is not None else frozenset()
        links = {link.session: link for link in self._register.open() if link.known_keys == known}
        held = [session for session in links if session is not None]
        if not held:
            return
        chosen, frame = await self._threads.call(lambda: agent_updates.offer(held))
        for session in chosen:
            if frame is not None:
                links[session].send(frame)

    async def _write_contested(self) -> None:
        contested = self._register.contested(asyncio.get_running_loop().time())
        if contested:
            await self._threads.call(lambda: sessions.note_contested(contested))

    def _close_silent(self) -> None:
        before = asyncio.get_running_loop().time() - SILENT_SECONDS
        for link in self._register:
            if link.heard_at < before:
                self._register.leave(link)
                link.abandon()

    async def _write_seen(self) -> None:
        now = asyncio.get_running_loop().time()
        due = {
            link.session.device: link
            for link in self._register.open()
            if link.session is not None
            and link.heard_at > link.written_at
            and now - link.written_at >= PRESENCE_EVERY_SECONDS
        }
        if not due:
            return
        seen = await self._threads.call(lambda: presence.seen(due.keys()))
        for device in seen.written:
            due[device].written_at = now
        self.came_online(seen.came_online)

    async def _write_facts(self) -> None:
        described, self._described = self._described, {}
        if not described:
            return
        try:
            await self._threads.call(lambda: sessions.describe(described))
        except Unavailable:
            self._described = {**described, **self._described}
            raise

    async def _tell_online(self) -> None:
        devices, self._newly_online = self._newly_online, set()
        if not devices:
            return
        try:
            await self._threads.call(lambda: self._ledger.device_came_online(sorted(devices)))
        except Unavailable:
            self._newly_online |= devices
            raise


def _push(link: Link, cancels: tuple[str, ...]) -> None:
    """Each cancel at once; the heartbeats' answers repeat it until the run has ended."""
    for run in cancels:
        if run not in link.cancels:
            link.send(protocol.Cancel(run))
    link.cancels = cancels
