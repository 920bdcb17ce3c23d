"""A bad network between agents and their server: it cuts, drips, falls silent, and loses, doubles
or delays WebSocket frames one by one.

Each agent has a `Way` of its own, all of them on one thread. A way's faults may be set from any
thread at any time, and hold from the next byte on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from devices.agent import protocol
from devices.agent.identity import load_server, save_server
from tests.faults.fleet import Device

UP, DOWN = "up", "down"
_TEXT, _HEAD_END = 1, b"\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)
_LOOK_SECONDS = 0.02
_READ_BYTES = 64 * 1024

Fate = Sequence[float]
"""For each copy of a frame that arrives, after how many seconds; none: it is lost."""
PASSED: Fate = (0.0,)


class Seen(NamedTuple):
    """A text frame on its way up to the server or down to the agent; it is the `number`th of its
    type since the way was made, counted from 1. `run` is "" where it is about none."""

    way: str
    type: str
    number: int
    run: str


Rule = Callable[[Seen], Fate]


def lose_once(way: str, kind: str, number: int = 1) -> Rule:
    return lambda seen: () if seen[:3] == (way, kind, number) else PASSED


def lose_some(chance: random.Random, share: float) -> Rule:
    return lambda seen: () if chance.random() < share else PASSED


def double(seen: Seen) -> Fate:
    """Every one but those of the handshake, of which a second one is not the protocol."""
    return PASSED if seen.type in HANDSHAKE else (0.0, 0.0)


def reorder(chance: random.Random, most_seconds: float) -> Rule:
    """Each is late by a time of its own, so that later ones overtake it."""
    return lambda seen: (chance.uniform(0.0, most_seconds),)


def delay_some(chance: random.Random, share: float, most_seconds: float) -> Rule:
    """A few are later than the other end's patience."""
    return lambda seen: (chance.uniform(0.0, most_seconds),) if chance.random() < share else PASSED


HANDSHAKE = frozenset({"challenge", "hello", "welcome"})


@dataclass(slots=True)
class Way:
    """`cut_after` says of each new connection after how many bytes it is reset; `drips` is the
    pause after each byte for the agent, or after each `drop_bytes`; `is_cut` keeps connections open
    and lets nothing through; `met` counts the frames by direction and type, `faults` what was done
    to them, `carried_down` the bytes for the agent."""

    port: int
    rule: Rule = lambda seen: PASSED
    cut_after: Callable[[], int | None] = lambda: None
    drips: float = 0.0
    drop_bytes: int = 1
    is_cut: bool = False
    listens_at: int = 0
    carried_down: int = 0
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    async def through(self) -> None:
        """Waits while the way is cut."""
        while self.is_cut:  # noqa: ASYNC110 - other threads set it
            await asyncio.sleep(_LOOK_SECONDS)

    def judge(self, way: str, said: dict[str, Any]) -> Fate:
        kind = str(said["type"])
        self.met[way, kind] += 1
        fate = self.rule(Seen(way, kind, self.met[way, kind], str(said.get("run", ""))))
        self.faults["lost"] += not fate
        self.faults["doubled"] += len(fate) > 1
        self.faults["late"] += any(fate)
        return fate


class _Connection:
    """One agent's, and the one to the server that belongs to it."""

    def __init__(self, way: Way, writers: dict[str, asyncio.StreamWriter]) -> None:
        self._way = way
        self._writers = writers
        self._left = way.cut_after()
        self._queues: dict[str, asyncio.Queue[bytes]] = {one: asyncio.Queue() for one in (UP, DOWN)}

    async def relay(self, readers: dict[str, asyncio.StreamReader]) -> None:
        """Until either end has had enough."""
        courses = [self._carry(one, readers[one]) for one in (UP, DOWN)]
        courses += [self._deliver(one) for one in (UP, DOWN)]
        tasks = [asyncio.ensure_future(course) for course in courses]
        try:
            done, _left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(_LOOK_SECONDS)  # what was read last, a close frame, is still to go
            await self._way.through()
            for task in done:
                with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, way: str, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(_HEAD_END)
        self._queues[way].put_nowait(head)
        if way == DOWN and b" 101 " not in head.partition(b"\r\n")[0]:
            while data := await reader.read(_READ_BYTES):
                self._queues[way].put_nowait(data)
                await self._queues[way].join()
            return
        while True:
            raw, said = await _frame(reader)
            fate = PASSED if said is None else self._way.judge(way, said)
            for seconds in fate:
                if seconds:
                    loop = asyncio.get_running_loop()
                    loop.call_later(seconds, self._queues[way].put_nowait, raw)
                else:
                    self._queues[way].put_nowait(raw)

    async def _deliver(self, way: str) -> None:
        writer = self._writers[way]
        while True:
            data = await self._queues[way].get()
            await self._way.through()
            for piece in self._pieces(way, data):
                writer.write(piece)
                await writer.drain()
                if way == DOWN and self._way.drips:
                    await asyncio.sleep(self._way.drips)
                self._way.carried_down += len(piece) if way == DOWN else 0
                self._count(len(piece))
            self._queues[way].task_done()

    def _pieces(self, way: str, data: bytes) -> Iterator[bytes]:
        """All of it at once, but where it drips or the connection's end comes in between."""
        if way == DOWN and self._way.drips:
            size = self._way.drop_bytes
            yield from (data[start : start + size] for start in range(0, len(data), size))
        elif self._left is not None and self._left < len(data):
            yield data[: self._left]
        else:
            yield data

    def _count(self, size: int) -> None:
        if self._left is None:
            return
        self._left -= size
        if self._left <= 0:
            self._way.faults["reset"] += 1
            for writer in self._writers.values():
                _reset(writer)
            raise ConnectionResetError


class Between:
    """Makes ways, and carries what is on them. Use it as a context."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ways: list[asyncio.Server] = []
        self._open: set[asyncio.Task[Any]] = set()

    def put_before(self, *devices: Device, address: str = "127.0.0.1") -> list[Way]:
        """Each device gets a way of its own, and reaches its server by it from its next connection
        on: at `address` of ours, where the device is told to look for localhost."""
        made = []
        for device in devices:
            way = self._way(address)
            server = load_server(device.state)
            reached = f"ws://localhost:{way.listens_at}{protocol.SOCKET_PATH}"
            save_server(device.state, replace(server, socket=reached))
            made.append(way)
        return made

    def put_before_files(self, *devices: Device) -> list[Way]:
        """The same for what a device fetches over HTTP, from its next start on."""
        made = []
        for device in devices:
            way = self._way("127.0.0.1")
            server = load_server(device.state)
            save_server(device.state, replace(server, url=f"http://localhost:{way.listens_at}"))
            made.append(way)
        return made

    def _way(self, address: str) -> Way:
        way = Way(self._port)
        self._run(self._listen(way, address))
        return way

    def __enter__(self) -> Between:
        self._thread.start()
        return self

    def __exit__(self, *_problem: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self, way: Way, address: str) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._open.add(task)
            try:
                # What ends it at the close is no news; asyncio's own callback would report it.
                with contextlib.suppress(asyncio.CancelledError):
                    await _serve(way, reader, writer)
            finally:
                self._open.discard(task)

        server = await asyncio.start_server(serve, address, 0, limit=1024 * 1024)
        way.listens_at = server.sockets[0].getsockname()[1]
        self._ways.append(server)

    async def _close(self) -> None:
        for server in self._ways:
            server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@contextmanager
def _both(*writers: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.close()


async def _serve(way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    way.faults["connections"] += 1
    with _both(writer):
        await way.through()
        try:
            upstream, to_server = await asyncio.open_connection(
                "127.0.0.1", way.port, limit=1024 * 1024
            )
        except OSError:
            return
        with _both(to_server):
            connection = _Connection(way, {UP: to_server, DOWN: writer})
            await connection.relay({UP: reader, DOWN: upstream})


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, Any] | None]:
    """A WebSocket frame's bytes (RFC 6455, 5.2), and what it says; None for one of WebSocket's."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    if size >= 126:
        more = await reader.readexactly(2 if size == 126 else 8)
        head, size = head + more, int.from_bytes(more, "big")
    mask = await reader.readexactly(4) if head[1] & 0x80 else b""
    body = await reader.readexactly(size)
    if head[0] & 0x0F != _TEXT:
        return head + mask + body, None
    return head + mask + body, json.loads(_unmasked(body, mask))


def _unmasked(body: bytes, mask: bytes) -> bytes:
    if not mask:
        return body
    key = (mask * (len(body) // 4 + 1))[: len(body)]
    return (int.from_bytes(body, "big") ^ int.from_bytes(key, "big")).to_bytes(len(body), "big")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Not closed: gone, as behind a firewall that lost its mind."""
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
