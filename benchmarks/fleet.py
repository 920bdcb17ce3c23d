"""One command on every agent of a fleet, on the whole system as `make up` starts it, beside the floor.

The agents are simulated in processes of their own (`benchmarks.simulated`). Timed is from the POST
that executes a task to the moment at which no run of it is left unended in PostgreSQL.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from benchmarks import commits, floor, large, machine, open_files, others
from benchmarks.queueing import queue_up
from benchmarks.simulated import Fleet, Habits, Identity, enlist, fleet
from benchmarks.spent import between, spent
from deployx.system import System
from tests.running import BY_HAND, RunningSystem, free_port, running_system, until

SIZES = (1_000, 5_000, 10_000)
QUEUED = 100_000
REPEATS = 3
IDLE_SECONDS = 30.0
WITHIN_SECONDS = 300.0
LOOK_SECONDS = 0.02
PAGE_SECONDS = 0.05
PAGE = "/api/schedule/tasks?limit=1"
FLOOR_ROUNDS = 5
_LEFT = """
SELECT 1 FROM scheduled_task_device_runs
 WHERE execution_id = %s AND status IN ('pending', 'queued', 'claimed', 'running') LIMIT 1
"""
_ENDED = "SELECT status FROM scheduled_task_executions WHERE id = %s AND completed_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """`cpu` are seconds of the processor by program; `floor` and `floor_cpu` the bare exchange with
    as many clients, just before (`floor_cpu` of its server alone); `pages` how long a page took
    meanwhile, where somebody read one, `heartbeats` their answers, in seconds."""

    agents: int
    seconds: float
    cpu: dict[str, float]
    floor: float
    floor_cpu: float
    pages: tuple[float, ...]
    heartbeats: tuple[float, ...]
    load: str

    @property
    def per_host(self) -> float:
        return self.seconds / self.agents

    @property
    def cpu_per_host(self) -> float:
        return sum(self.cpu.values()) / self.agents


@dataclass(frozen=True, slots=True)
class Idle:
    """`memory` is the web process's, in bytes an agent, of those that came last; `cpu` is the share
    of one processor that each program takes while nothing happens."""

    agents: int
    memory: float
    heartbeats: tuple[float, ...]
    cpu: dict[str, float]


@dataclass(slots=True)
class Found:
    dispatches: list[Dispatch] = field(default_factory=list)
    read_meanwhile: list[Dispatch] = field(default_factory=list)
    read_elsewhere: list[Dispatch] = field(default_factory=list)
    """To all agents, with pages that another web process made."""
    idle: list[Idle] = field(default_factory=list)
    commits: dict[int, float] = field(default_factory=dict)
    queued: int = 0
    before_queued: list[Dispatch] = field(default_factory=list)
    """To as many as the smallest size, with all agents there; `beside_queued` the same again."""
    beside_queued: list[Dispatch] = field(default_factory=list)
    reconnected: float = 0.0
    large: large.Large | None = None
    others: list[others.Other] = field(default_factory=list)

    def of(self, agents: int) -> Dispatch:
        """The best of this size: whatever else the machine did can only have made one slower."""
        return min((one for one in self.dispatches if one.agents == agents), key=_seconds)


def measure(
    sizes: Sequence[int] = SIZES,
    queued: int = QUEUED,
    repeats: int = REPEATS,
    *,
    install_others: bool = False,
) -> Found:
    open_files.allow(max(sizes))
    with running_system() as system:
        found = measure_on(system, sizes, queued, repeats)
    found.others = others.measure(install=install_others)
    return found


def measure_on(
    system: RunningSystem,
    sizes: Sequence[int],
    queued: int,
    repeats: int,
    idle_seconds: float = IDLE_SECONDS,
    devices_away: int = large.NUMBER,
) -> Found:
    """The same on a system that runs already. The sizes rise."""
    found = Found(queued=queued)
    with ExitStack() as stack:
        crowd = _Crowd(system, stack)
        least = floor.measure(min(sizes), FLOOR_ROUNDS)
        crowd.dispatch(crowd.grow(min(sizes)), least)  # loads what is loaded once
        for size in sizes:
            memory = crowd.memory()
            added = size - crowd.size if size > crowd.size else 0
            crowd.grow(size)
            found.idle.append(crowd.idle(idle_seconds, (crowd.memory() - memory) / (added or size)))
            bare = floor.measure(size, FLOOR_ROUNDS)
            found.commits[size] = commits.measure(crowd.database, size)
            found.dispatches += [crowd.dispatch(crowd.identities, bare) for _ in range(repeats)]
            reads = crowd.dispatch(crowd.identities, bare, read_at=system.address)
            found.read_meanwhile.append(reads)
        with _another_web(system) as address:
            found.read_elsewhere = [
                crowd.dispatch(crowd.identities, bare, read_at=address) for _ in range(repeats)
            ]
        first = crowd.identities[: min(sizes)]
        found.before_queued = [crowd.dispatch(first, least) for _ in range(repeats)]
        queue_up(crowd.database, queued, [one.id for one in first])
        found.beside_queued = [crowd.dispatch(first, least) for _ in range(repeats)]
        found.reconnected = crowd.reconnect()
        found.large = large.measure_on(system, crowd.database, devices_away)
    return found


@contextmanager
def _another_web(system: RunningSystem) -> Iterator[str]:
    """The address of a second web process of the system, to which no agent is connected."""
    second = System(port=free_port(), folder=system.home, environment={})
    program = second.web()
    # Without what this process itself has in its environment: it finds the system by DEPLOYX_HOME.
    environment = {**system.environment, **program.environment}
    process = subprocess.Popen(program.argv, cwd=program.working_directory, env=environment)
    try:
        until(second.web_answers, what="a second web process")
        yield second.address
    finally:
        process.terminate()
        process.wait()


class _Crowd:
    """The agents so far, and what is done with them."""

    def __init__(self, system: RunningSystem, stack: ExitStack) -> None:
        self._system = system
        self._stack = stack
        self.database = system.database_url
        self._connection = stack.enter_context(psycopg.connect(self.database, autocommit=True))
        self._fleets: list[Fleet] = []
        self.identities: list[Identity] = []

    @property
    def size(self) -> int:
        return len(self.identities)

    def grow(self, size: int) -> list[Identity]:
        """Answers when so many agents are online."""
        if (number := size - self.size) > 0:
            fresh = enlist(self.database, number, f"simulated-{size}")
            agents = fleet(self._system.address, fresh, Habits(verifies=False), processes=1)
            self._fleets.append(self._stack.enter_context(agents))
            self._fleets[-1].connect()
            self._fleets[-1].until_online(number, WITHIN_SECONDS)
            self.identities += fresh
        return self.identities

    def memory(self) -> int:
        return int(self._web().memory_info().rss)

    def idle(self, seconds: float, memory: float) -> Idle:
        self._heartbeats()
        before = self._spent()
        time.sleep(seconds)
        taken = between(before, self._spent())
        share = {name: used / seconds for name, used in taken.items()}
        return Idle(self.size, memory, self._heartbeats(), share)

    def dispatch(
        self, identities: Sequence[Identity], bare: floor.Floor, *, read_at: str = ""
    ) -> Dispatch:
        load = machine.load()
        task = self._task(identities)
        self._heartbeats()
        before = self._spent()
        reader: AbstractContextManager[list[float]] = (
            self._reader(read_at) if read_at else nullcontext([])
        )
        with reader as pages:
            began = time.perf_counter()
            execution = self._system.post(f"/api/schedule/tasks/{task}/execute", status=202)["id"]
            seconds = self._until(_LEFT, execution, is_there=False) - began
            cpu = between(before, self._spent())
        self._until(_ENDED, execution, is_there=True)
        return Dispatch(
            len(identities), seconds, cpu, min(bare.rounds), min(bare.cpu), tuple(pages),
            self._heartbeats(), load,
        )  # fmt: skip

    def reconnect(self) -> float:
        """Seconds from the web process's end to every agent online again."""
        web = self._web()
        began = time.monotonic()
        web.kill()
        self._system.replacement(web, "uvicorn", "deployx.asgi:application")
        while sum(agents.online() for agents in self._fleets) < self.size:
            if time.monotonic() - began > WITHIN_SECONDS:
                raise TimeoutError("Not all agents came back.")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def _task(self, identities: Sequence[Identity]) -> str:
        body: dict[str, Any] = {
            "name": "Fleet",
            "task_type": "command",
            "command_payload": {"command": "df -h", "shell": "sh"},
            "device_ids": [one.id for one in identities],
            **BY_HAND,
            "rollout": {"strategy": "parallel", "max_concurrent": len(identities)},
        }
        return str(self._system.post("/api/schedule/tasks", body)["id"])

    def _until(self, question: str, execution: str, *, is_there: bool) -> float:
        """The moment at which the database's answer has rows, or has none."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while (
            self._connection.execute(question, [execution]).fetchone() is not None
        ) is not is_there:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not within {WITHIN_SECONDS:.0f} s: {question}")
            time.sleep(LOOK_SECONDS)
        return time.perf_counter()

    @contextmanager
    def _reader(self, address: str) -> Iterator[list[float]]:
        """Somebody who opens a page again and again, once at least; how long each took."""
        took: list[float] = []
        is_over = threading.Event()

        def read() -> None:
            with httpx.Client(
                base_url=address, headers=self._system.api.headers, timeout=60
            ) as client:
                while not took or not is_over.wait(PAGE_SECONDS):
                    began = time.perf_counter()
                    client.get(PAGE).raise_for_status()
                    took.append(time.perf_counter() - began)

        with ThreadPoolExecutor(1) as thread:
            reading = thread.submit(read)
            try:
                yield took
            finally:
                is_over.set()
            reading.result()

    def _heartbeats(self) -> tuple[float, ...]:
        """Since the last look."""
        return tuple(one for agents in self._fleets for one in agents.tally().heartbeats)

    def _spent(self) -> dict[str, float]:
        pids = [one.pid for agents in self._fleets for one in agents.processes]
        return spent(self._system, [pid for pid in pids if pid is not None])

    def _web(self) -> Any:
        return self._system.child("uvicorn", "deployx.asgi:application")


def _seconds(one: Dispatch) -> float:
    return one.seconds
