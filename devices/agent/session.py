"""One connection: who is there, what became of the runs, and then frames both ways."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from . import __version__, updating
from .clock import ServerClock
from .config import Settings, StateDir
from .facts import gather, load_per_cpu
from .identity import DeviceKey, Server, save_server
from .journal import Journal
from .line import Line
from .protocol import (
    MAX_FRAME_BYTES,
    SPREAD,
    SUBPROTOCOL,
    Ack,
    Cancel,
    Challenge,
    Facts,
    Go,
    Grant,
    Heartbeat,
    HeartbeatAck,
    Hello,
    JournalEntry,
    JournalState,
    JsonObject,
    OutputAck,
    Poll,
    ProtocolError,
    Recall,
    Recalled,
    ServerFrame,
    Source,
    Stop,
    Update,
    Welcome,
    decode_from_server,
    encode,
    hello_bytes,
)
from .runs import Runs
from .updater import Updater

log = logging.getLogger("deployx_agent.session")

_WELCOME_SECONDS = 30.0
_LOOK_SECONDS = 1.0
_FACTS_SECONDS = 3_600.0
_DAY_SECONDS = 86_400.0
_JOURNAL_BYTES = 64 * 1024


class SessionOver(Exception):
    """The connection is of no use any more; the text says why."""


class Session:
    def __init__(
        self,
        socket: ClientConnection,
        state: StateDir,
        settings: Settings,
        key: DeviceKey,
        server: Server,
        journal: Journal,
        clock: ServerClock,
        runs: Runs,
        updater: Updater,
    ) -> None:
        self._socket = socket
        self._state = state
        self._settings = settings
        self._key = key
        self._server = server
        self._journal = journal
        self._clock = clock
        self._runs = runs
        self._updater = updater
        self._signed_by: Server | None = None
        self._line = Line(socket.send)
        self._heard_at = time.monotonic()
        self._facts: JsonObject = {}
        self._told_facts_at = time.monotonic()

    async def hold(self) -> None:
        """From challenge to the connection's end. Raises SessionOver, ProtocolError, or what
        websockets raises."""
        welcome = await asyncio.wait_for(self.introduce(), _WELCOME_SECONDS)
        log.info("connected to %s as %s", self._server.url, self._server.name)
        self._line.open(welcome.session, welcome.limits)
        self._signed_by = self._trusted(welcome)
        self._runs.attach(self._line, self._signed_by, welcome)
        self._journal.forget(welcome.server_time)
        try:
            async with asyncio.TaskGroup() as tasks:
                for course in (self._listen, self._line.write, self._poll, self._beat):
                    tasks.create_task(course())
                looks = min(_LOOK_SECONDS, self._settings.repeat_seconds)
                tasks.create_task(self._every(looks, self._repeat, 0.0))
                tasks.create_task(self._every(_FACTS_SECONDS, self.tell_facts, SPREAD))
        except ExceptionGroup as problems:  # except* would wrap what is raised here once more
            raise _telling(problems.exceptions) from None
        finally:
            self._runs.detach()

    async def give_back(self, seconds: float) -> None:
        """Return what was claimed and not started, as far as the server answers in time."""
        self._runs.stop()
        until = time.monotonic() + seconds
        while self._runs.has_givebacks and time.monotonic() < until:
            await asyncio.sleep(0.05)

    async def introduce(self) -> Welcome:
        """Up to the server's welcome, of which nothing is heeded yet."""
        challenge = await self._receive()
        if not isinstance(challenge, Challenge):
            raise ProtocolError("the server did not begin with a challenge")
        if challenge.server_id != self._server.server_id:
            raise SessionOver("this is another server than the one the agent was enrolled at")
        if SUBPROTOCOL not in challenge.protocols:
            raise SessionOver(f"the server does not speak {SUBPROTOCOL}")
        self._clock.tell(challenge.server_time)
        self._facts = await asyncio.to_thread(self._gather)
        await self._socket.send(encode(self._hello(challenge)))
        while not isinstance(frame := await self._receive(), Welcome):
            if not isinstance(frame, Recall):
                raise ProtocolError("the server did not welcome the agent")
            for part in parts(self._runs.recalled(frame.runs)):
                await self._socket.send(encode(part))
        self._clock.tell(frame.server_time)
        return frame

    def _hello(self, challenge: Challenge) -> Hello:
        said = hello_bytes(challenge.nonce, self._server.server_id, self._server.device_id)
        return Hello(
            device_id=self._server.device_id,
            protocol=SUBPROTOCOL,
            agent_version=__version__,
            facts=self._facts,
            signature=self._key.sign(said),
            journal=tuple(_within(self._runs.entries(), _JOURNAL_BYTES)),
        )

    def _trusted(self, welcome: Welcome) -> Server | None:
        if not welcome.server_keys:
            return self._server
        server = self._server.following(welcome.server_keys)
        if server is None:
            log.error("the server's keys do not lead back to the pinned one: it may run nothing")
        elif server.key != self._server.key:
            log.warning("the server's key is now %s", server.fingerprint)
            save_server(self._state, server)
        return server

    async def _listen(self) -> None:
        while True:
            self._handle(await self._receive())

    async def _receive(self) -> ServerFrame:
        text = await self._socket.recv()
        if not isinstance(text, str):
            raise ProtocolError("a binary message")
        self._heard_at = time.monotonic()
        return decode_from_server(text)

    def _handle(self, frame: ServerFrame) -> None:
        runs = self._runs
        match frame:
            case Grant():
                runs.on_grant(frame)
            case Go():
                runs.on_go(frame.run, frame.timeout_seconds)
            case Stop():
                runs.on_stop(frame.run, frame.reason)
            case Ack():
                runs.on_ack(frame.run, frame.state)
            case OutputAck():
                runs.on_output_ack(frame.run, frame.next)
            case Cancel():
                runs.on_cancel(frame.run)
            case HeartbeatAck():
                self._heartbeat_answered(frame)
            case Recall():
                for part in parts(runs.recalled(frame.runs)):
                    self._line.post(part)
            case Source():
                runs.on_source(frame)
            case Update():
                self._updater.on_update(frame, self._signed_by)
            case _:
                raise ProtocolError(f"{type(frame).__name__} at this point")

    def _heartbeat_answered(self, frame: HeartbeatAck) -> None:
        self._clock.tell(frame.server_time)
        for run in frame.cancel:
            self._runs.on_cancel(run)
        if not frame.session_ok:
            raise SessionOver("the server holds another session for this device")

    async def _poll(self) -> None:
        seconds = self._settings.poll_seconds or self._line.limits.poll_seconds
        await self._every(seconds, self._say_poll, SPREAD)

    async def _beat(self) -> None:
        seconds = self._settings.heartbeat_seconds or self._line.limits.heartbeat_seconds
        patience = max(10.0, 3 * seconds)

        async def beat() -> None:
            if time.monotonic() - self._heard_at > patience:
                raise SessionOver(f"nothing was heard from the server for {patience:.0f} s")
            self._line.post(Heartbeat(self._runs.running, load_per_cpu()))

        await self._every(seconds, beat, SPREAD)

    async def _every(
        self, seconds: float, say: Callable[[], Awaitable[None]], spread: float
    ) -> None:
        while True:
            await say()
            await asyncio.sleep(around(max(0.05, seconds), spread))

    async def _say_poll(self) -> None:
        self._line.post(Poll(self._runs.holding(), self._runs.is_ready))

    async def _repeat(self) -> None:
        self._runs.repeat()

    async def tell_facts(self) -> None:
        """Where they have changed, and once a day."""
        facts = await asyncio.to_thread(self._gather)
        if facts != self._facts or time.monotonic() - self._told_facts_at > _DAY_SECONDS:
            self._facts, self._told_facts_at = facts, time.monotonic()
            self._line.post(Facts(facts))

    def _gather(self) -> dict[str, Any]:
        facts = gather()
        if self._journal.damaged:
            facts["journal_damaged"] = True
        if failed := updating.failure(self._state):
            facts["update_failed"] = failed
        return facts


def around(seconds: float, spread: float = SPREAD) -> float:
    """An interval ± its share, so that agents that began together do not stay together."""
    return seconds * random.uniform(1 - spread, 1 + spread)


def _telling(problems: tuple[BaseException, ...]) -> BaseException:
    """The one to report of several: a closed connection takes everything else down with it."""
    flat = [
        inner
        for problem in problems
        for inner in (problem.exceptions if isinstance(problem, BaseExceptionGroup) else (problem,))
    ]
    return next((one for one in flat if not isinstance(one, ConnectionClosed)), flat[0])


def _within(entries: list[JournalEntry], most_bytes: int) -> Iterator[JournalEntry]:
    """The entries; results past the size a frame has for them are told by themselves later."""
    for entry in entries:
        if entry.result is not None:
            most_bytes -= len(json.dumps(entry.result.detail)) + 300
            if most_bytes < 0:
                yield JournalEntry(entry.run, JournalState.GO)
                continue
        yield entry


def parts(entries: list[JournalEntry]) -> Iterator[Recalled]:
    """The entries in frames of a size that fits, `more` on all but the last."""
    part: list[JournalEntry] = []
    size = 0
    for entry in entries:
        weight = 150 + (len(json.dumps(entry.result.detail)) + 300 if entry.result else 0)
        if part and size + weight > MAX_FRAME_BYTES * 3 // 4:
            yield Recalled(tuple(part), True)
            part, size = [], 0
        part.append(entry)
        size += weight
    yield Recalled(tuple(part), False)
