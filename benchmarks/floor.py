"""The floor: a bare websockets server that takes N connected clients through the frames of a run.

grant → start → go → result → ack, the real JSON of `devices.agent.protocol`, and nothing else: no
signatures checked, no rows written, no shell. What the system needs above this is the system's own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import uvloop

from benchmarks import frames
from benchmarks.wire import Wire

CONNECTING_AT_ONCE = 50
WITHIN_SECONDS = 60
CONNECTED_PER_SECOND = 50
"""Of those that are let in, at the least, however busy the machine is."""


@dataclass(frozen=True, slots=True)
class Floor:
    """`rounds` are the seconds that each pass over all clients took, `cpu` the server's part of the
    processor in it: what it says does not depend on what else the machine does."""

    clients: int
    rounds: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def microseconds_per_host(self) -> float:
        """Of the best round: whatever else the machine did can only have made one slower."""
        return min(self.rounds) / self.clients * 1_000_000


def measure(clients: int = 1_000, rounds: int = 10) -> Floor:
    """The clients live in a process of their own, as agents live on machines of their own."""
    return uvloop.run(_measure(clients, rounds))


@dataclass(slots=True)
class _Server:
    expected: int
    wires: list[Wire] = field(default_factory=list)
    all_there: asyncio.Event = field(default_factory=asyncio.Event)
    all_done: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: int = 0

    def welcome(self, wire: Wire) -> None:
        wire.on_text = lambda text: self._hear(wire, text)
        self.wires.append(wire)
        if len(self.wires) == self.expected:
            self.all_there.set()

    async def round(self) -> tuple[float, float]:
        """Seconds, and seconds of CPU, from the first grant to the last acknowledgement."""
        self.acknowledged = 0
        self.all_done.clear()
        granted = [(wire, str(uuid4())) for wire in self.wires]
        started_at, cpu_before = time.perf_counter(), time.process_time()
        for wire, run in granted:
            wire.send(frames.grant(run))
        await self.all_done.wait()
        return time.perf_counter() - started_at, time.process_time() - cpu_before

    def _hear(self, wire: Wire, text: str) -> None:
        frame = json.loads(text)
        if frame["type"] == "start":
            wire.send(frames.go(frame["run"]))
            return
        wire.send(frames.ack(frame["run"], frame["outcome"]))
        self.acknowledged += 1
        if self.acknowledged == self.expected:
            self.all_done.set()


async def _measure(clients: int, rounds: int) -> Floor:
    server = _Server(clients)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: Wire.of_server(server.welcome), "127.0.0.1", 0, backlog=4_096
    )
    async with listening:
        with _clients_elsewhere(listening.sockets[0].getsockname()[1], clients):
            async with asyncio.timeout(WITHIN_SECONDS + clients / CONNECTED_PER_SECOND):
                await server.all_there.wait()
                with _quiet_collector():
                    measured = [await server.round() for _ in range(rounds)]
    wall, cpu = zip(*measured, strict=True)
    return Floor(clients, wall, cpu)


@contextmanager
def _quiet_collector() -> Iterator[None]:
    """Connections that live on are garbage to nobody; the product's web process does the same."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _clients_elsewhere(port: int, clients: int) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(
        target=_run_clients, args=(port, clients), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _run_clients(port: int, clients: int) -> None:
    uvloop.run(_all_clients(port, clients))


async def _all_clients(port: int, clients: int) -> None:
    """Connects them all, and answers until it is ended."""
    loop = asyncio.get_running_loop()
    connecting = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect() -> None:
        is_open = asyncio.Event()

        def opened(wire: Wire) -> None:
            wire.on_text = lambda text: _answer(wire, text)
            is_open.set()

        async with connecting:
            address = f"ws://127.0.0.1:{port}/"
            await loop.create_connection(lambda: Wire.of_client(address, opened), "127.0.0.1", port)
            await is_open.wait()

    await asyncio.gather(*[connect() for _ in range(clients)])
    await asyncio.get_running_loop().create_future()


def _answer(wire: Wire, text: str) -> None:
    frame = json.loads(text)
    if frame["type"] == "grant":
        wire.send(frames.start(frame["run"]))
    elif frame["type"] == "go":
        wire.send(frames.result(frame["run"]))
