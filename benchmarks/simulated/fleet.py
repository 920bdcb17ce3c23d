"""A fleet of simulated agents in processes of its own, and the line to them."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import uvloop

from benchmarks import open_files
from benchmarks.simulated.agent import Agent, Office
from benchmarks.simulated.enlisting import Identity
from benchmarks.simulated.habits import Habits
from benchmarks.simulated.tally import RunOnDevice, Tally, together

LOOK_SECONDS = 0.05
HANDSHAKES_PER_SECOND = 250
"""Below the 300 that a web process lets in, so that none of a first connect is refused."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All methods return at once but `until_online`."""

    _lines: tuple[Connection, ...]
    processes: tuple[BaseProcess, ...]

    def connect(self, per_second: float = HANDSHAKES_PER_SECOND) -> None:
        """Every agent connects, so many a second; 0 for all at once."""
        self._ask("connect", per_second / len(self._lines))

    def disconnect(self) -> None:
        """Every agent is gone without a word, and does not come back before `connect`."""
        self._ask("disconnect")

    def tally(self) -> Tally:
        """What happened since the last look."""
        return together(self._ask("tally"))

    def online(self) -> int:
        """How many are welcomed at this moment; looks at nothing else."""
        return sum(self._ask("online"))

    def until_online(self, number: int, seconds: float) -> float:
        """The seconds until so many agents are online. Raises TimeoutError."""
        began = time.monotonic()
        while (online := self.online()) < number:
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"{online} of {number} agents online after {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def runs(self) -> list[RunOnDevice]:
        """What the devices say of every run they ever had."""
        return [run for runs in self._ask("runs") for run in runs]

    def ask_for(self, sha256: str) -> None:
        """Every agent asks for the address of a file that its runs need."""
        self._ask("ask_for", sha256)

    def addresses(self, sha256: str) -> dict[str, str]:
        """Those that came since, by device."""
        return {device: url for found in self._ask("addresses", sha256) for device, url in found}

    def _ask(self, name: str, *arguments: Any) -> list[Any]:
        for line in self._lines:
            line.send((name, arguments))
        return [line.recv() for line in self._lines]


@contextmanager
def fleet(
    address: str, identities: Sequence[Identity], habits: Habits | None = None, processes: int = 2
) -> Iterator[Fleet]:
    """The agents of these identities against the server at `address` (http://127.0.0.1:PORT), not
    connected yet. Their processes end with the context."""
    open_files.allow(len(identities))
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        started = []
        for place in range(processes):
            ours, theirs = context.Pipe()
            share = identities[place::processes]
            process = context.Process(
                target=_live, args=(theirs, address, share, habits or Habits()), daemon=True
            )
            process.start()
            theirs.close()
            stack.callback(_end, process, ours)
            started.append((ours, process))
        yield Fleet(tuple(line for line, _ in started), tuple(process for _, process in started))


def _end(process: BaseProcess, line: Connection) -> None:
    line.close()
    process.terminate()
    process.join()


def _live(line: Connection, address: str, identities: Sequence[Identity], habits: Habits) -> None:
    uvloop.run(_Share(line, address, identities, habits).live())


class _Share:
    """The agents of one process, and what is asked of them over the line."""

    def __init__(
        self, line: Connection, address: str, identities: Sequence[Identity], habits: Habits
    ) -> None:
        self._line = line
        self._identities = identities
        self._address, self._habits = address, habits
        self._connecting: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Until the other end of the line is closed."""
        loop = asyncio.get_running_loop()
        self._office = Office(self._address, self._habits, loop)
        self._agents = [Agent(identity, self._office) for identity in self._identities]
        self._is_over = asyncio.Event()
        # As in the web process: a collector that looks through idle agents again and again delays
        # their heartbeats, and it would be taken for the server's doing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1_000)
        loop.add_reader(self._line.fileno(), self._answer)
        # The loop wants it otherwise, and a tally of many heartbeats does not fit into the line.
        os.set_blocking(self._line.fileno(), True)
        looking = loop.create_task(self._office.look_after_runs())
        await self._is_over.wait()
        looking.cancel()

    def _answer(self) -> None:
        try:
            name, arguments = self._line.recv()
        except EOFError:
            self._is_over.set()
            return
        self._line.send(getattr(self, f"_{name}")(*arguments))

    def _connect(self, per_second: float) -> None:
        self._connecting = self._office.loop.create_task(self._connect_all(per_second))

    async def _connect_all(self, per_second: float) -> None:
        began = self._office.loop.time()
        for number, agent in enumerate(self._agents):
            agent.connect()
            if per_second:
                await asyncio.sleep(began + number / per_second - self._office.loop.time())

    def _disconnect(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        for agent in self._agents:
            agent.disconnect()

    def _tally(self) -> Tally:
        told, self._office.tally = self._office.tally, Tally(online=self._office.tally.online)
        return told

    def _online(self) -> int:
        return self._office.tally.online

    def _ask_for(self, sha256: str) -> None:
        for agent in self._agents:
            agent.ask_for(sha256)

    def _addresses(self, sha256: str) -> list[tuple[str, str]]:
        found = ((agent.identity.id, agent.sources.get(sha256)) for agent in self._agents)
        return [(device, url) for device, url in found if url is not None]

    def _runs(self) -> list[RunOnDevice]:
        return [run for agent in self._agents for run in agent.told()]
