"""The agent: one connection after another, for as long as it is wanted."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from collections import deque

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from . import __version__, updating
from .addresses import is_loopback
from .clock import ServerClock
from .config import ConfigError, Settings, StateDir
from .identity import Server, load_key, load_server
from .journal import Journal
from .platforms import lock_file
from .protocol import (
    CLOSE_FENCED,
    CLOSE_NOT_AUTHENTICATED,
    CLOSE_NOT_THE_PROTOCOL,
    CLOSE_REVOKED,
    MAX_FRAME_BYTES,
    SUBPROTOCOL,
    ProtocolError,
)
from .runs import Runs
from .session import Session, SessionOver
from .transfers import Transfers
from .updater import Updater
from .updating import Chosen

log = logging.getLogger("deployx_agent")

_OPEN_SECONDS = 20.0
_CLOSE_SECONDS = 3.0
_GIVE_BACK_SECONDS = 3.0
_GOOD_SESSION_SECONDS = 10.0
_TIDY_SECONDS = 3_600.0
_FENCED_OFTEN = 3
_FENCED_WITHIN_SECONDS = 600.0


class Agent:
    """Raises ConfigError when it cannot begin: not enrolled, or another agent runs here."""

    def __init__(self, state: StateDir, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        self._key = load_key(state)
        load_server(state)
        self._lock = _take_lock(state)
        state.create()
        self._journal = Journal(state.journal)
        if self._journal.damaged:
            lines = ", ".join(map(str, self._journal.bad_lines[:10]))
            log.critical(
                "%s is damaged (line %s): this agent starts nothing new until it is enrolled anew",
                state.journal,
                lines,
            )
        self._clock = ServerClock()
        self._session: Session | None = None
        self._tries = 0
        self._fenced: deque[float] = deque(maxlen=_FENCED_OFTEN)
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._replacement: Chosen | None = None
        transfers = Transfers(state, settings, self._key)
        self._runs = Runs(state, settings, self._journal, self._clock, self._fail, transfers)
        self._updater = Updater(state, self._is_idle, self._replace, self._tell_facts)
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self) -> Chosen | None:
        """Until SIGTERM or SIGINT, or until another version is to be tried in its place; the answer
        is that version. Raises what made it impossible to go on."""
        self._heed_signals()
        self._runs.resume()
        updating.serves(self._state)
        life = asyncio.get_running_loop().create_task(self._live())
        tidying = asyncio.get_running_loop().create_task(self._tidy())
        stopped = asyncio.get_running_loop().create_task(self._stop.wait())
        await asyncio.wait({life, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if self._session is not None and self._failure is None:
            await self._session.give_back(_GIVE_BACK_SECONDS)
        for task in (life, tidying, stopped):
            task.cancel()
        await asyncio.gather(life, tidying, stopped, return_exceptions=True)
        await self._runs.close()
        self._journal.close()
        os.close(self._lock)
        if self._failure is not None:
            raise self._failure
        return self._replacement

    async def try_out(self) -> None:
        """Connects until a server has welcomed it, once, and goes: nothing of the journal has
        changed then."""
        while True:
            server = load_server(self._state)
            try:
                async with self._connection(server) as socket:
                    session = self._session_on(socket, server)
                    await asyncio.wait_for(session.introduce(), _OPEN_SECONDS)
                    return
            except (
                OSError,
                TimeoutError,
                WebSocketException,
                SessionOver,
                ProtocolError,
            ) as problem:
                log.warning("not welcomed: %s", problem or "no answer in time")
            await asyncio.sleep(self._settings.reconnect_min_seconds)

    def _is_idle(self) -> bool:
        return self._runs.running == 0

    def _replace(self, chosen: Chosen) -> None:
        self._replacement = chosen
        self._stop.set()

    def _tell_facts(self) -> None:
        if self._session is not None:
            task = asyncio.get_running_loop().create_task(self._session.tell_facts())
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    def stop(self) -> None:
        self._stop.set()

    def _fail(self, problem: BaseException) -> None:
        self._failure = self._failure or problem
        self._stop.set()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self.stop)
            except (NotImplementedError, RuntimeError):
                signal.signal(number, lambda *_: self.stop())

    async def _live(self) -> None:
        try:
            while True:
                began = time.monotonic()
                await self._connect_once()
                if time.monotonic() - began > _GOOD_SESSION_SECONDS:
                    self._tries = 0
                await asyncio.sleep(reconnect_pause(self._tries, self._settings))
                self._tries += 1
        except Exception as problem:
            self._fail(problem)

    async def _tidy(self) -> None:
        """Whether there is a connection or not."""
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            self._runs.tidy()

    async def _connect_once(self) -> None:
        # Read each time: `deployx-agent trust` may have changed it.
        server = load_server(self._state)
        try:
            async with self._connection(server) as socket:
                await self._hold(socket, server)
        except ConnectionClosed as problem:
            self._explain(problem, server)
        except (SessionOver, ProtocolError) as problem:
            log.warning("disconnected: %s", problem)
        except (OSError, TimeoutError, WebSocketException) as problem:
            log.warning("cannot connect to %s: %s", server.socket, problem or "no answer in time")

    def _connection(self, server: Server) -> connect:
        return connect(
            server.socket,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            ping_interval=None,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            user_agent_header=f"deployx-agent/{__version__}",
            proxy=None if is_loopback(server.socket) else True,
        )

    def _session_on(self, socket: ClientConnection, server: Server) -> Session:
        return Session(
            socket,
            self._state,
            self._settings,
            self._key,
            server,
            self._journal,
            self._clock,
            self._runs,
            self._updater,
        )

    async def _hold(self, socket: ClientConnection, server: Server) -> None:
        if socket.subprotocol != SUBPROTOCOL:
            raise SessionOver(f"the server does not speak {SUBPROTOCOL}")
        session = self._session_on(socket, server)
        self._session = session
        try:
            await session.hold()
        except ProtocolError as problem:
            await socket.close(CLOSE_NOT_THE_PROTOCOL, str(problem)[:100])
            raise
        finally:
            self._session = None

    def _explain(self, closed: ConnectionClosed, server: Server) -> None:
        code = closed.rcvd.code if closed.rcvd is not None else None
        said = {
            CLOSE_NOT_AUTHENTICATED: "the server does not know this device, or not by this key",
            CLOSE_REVOKED: "this device has been revoked",
            CLOSE_FENCED: "another connection of this device took over",
        }
        if code in (CLOSE_NOT_AUTHENTICATED, CLOSE_REVOKED):
            # Nothing but a person can change that: knock rarely.
            self._tries = max(self._tries, 6)
        log.warning("disconnected from %s: %s", server.url, said.get(code or 0, str(closed)))
        if code == CLOSE_FENCED:
            self._count_fencing()

    def _count_fencing(self) -> None:
        now = time.monotonic()
        self._fenced.append(now)
        if len(self._fenced) == _FENCED_OFTEN and now - self._fenced[0] < _FENCED_WITHIN_SECONDS:
            log.critical(
                "another agent uses this device's identity, perhaps from a copy of %s: "
                "enrol one of the two anew",
                self._state.path,
            )


def reconnect_pause(tries: int, settings: Settings) -> float:
    """Full jitter, so that ten thousand agents do not come back in the same second."""
    lowest, most = settings.reconnect_min_seconds, settings.reconnect_max_seconds
    return random.uniform(0, min(most, lowest * 2 ** min(tries, 16)))


def _take_lock(state: StateDir) -> int:
    descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT, 0o600)
    if not lock_file(descriptor):
        os.close(descriptor)
        raise ConfigError(f"another agent is running in {state.path}")
    return descriptor
